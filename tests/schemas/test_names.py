"""Which names files, cases and plans may have."""

import pytest

from soars_nnunet.schemas.names import case_problem, is_plain_name, name_problem, same_on_some_systems


@pytest.mark.parametrize("name", ["a.txt", "anchor_fold_0.safetensors", "LICENSE", "a-b_c.1.json"])
def test_plain_names(name):
    assert is_plain_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".a", "a.", "a..b", "a/b", "a\\b", "/a", "C:a", "a b", "a\0", "a\n", "é", "-a", "con", "NUL.txt"]
    + ["a" * 101],
)
def test_other_names(name):
    assert not is_plain_name(name)


@pytest.mark.parametrize("name", ["HN_001", "Ärztin 12", "a.b-c", "頭頸"])
def test_usual_names_of_cases(name):
    assert case_problem(name) is None


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "is empty"),
        (" ", "is empty"),
        ("../x", "is a path"),
        ("/etc/x", "is a path"),
        ("a\\b", "is a path"),
        ("..", "is a path"),
        ("a\0b", "is a path"),
        ("a\nb", "has signs that cannot be shown"),
        ("a\x1b[31m", "has signs that cannot be shown"),
        ("\udcff", "has signs that cannot be shown"),
        ("a" * 250, "is longer than 200 bytes"),
        ("ä" * 101, "is longer than 200 bytes"),
        (3, "is no text"),
        (None, "is no text"),
    ],
)
def test_names_that_no_file_can_have(name, problem):
    assert name_problem(name) == case_problem(name) == problem


@pytest.mark.parametrize("name", ["evaluation", "Dataset", ".hidden", "_0000"])
def test_names_that_no_case_can_have(name):
    assert name_problem(name) is None and case_problem(name)


def test_names_that_are_one_file_on_some_systems():
    assert same_on_some_systems(["a", "b", "A", "B"]) == [("a", "A"), ("b", "B")]
    assert same_on_some_systems(["a", "b", "a"]) == []
