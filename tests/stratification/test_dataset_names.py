"""Names of the branch datasets."""

import pytest

from soars_nnunet.branches import BRANCHES
from soars_nnunet.errors import InputError
from soars_nnunet.stratification.dataset_names import branch_dataset_names, others_with_ids_of

FOUR = [BRANCHES[key] for key in ("anchor", "mid_level", "detection", "small_hard")]


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("source", "first"), [("Dataset007_A", 71), ("Dataset042_A", 421), ("Dataset100_A", 901)])
def test_ids_follow_from_that_of_the_source(raw, source, first):
    names = branch_dataset_names(source, [*FOUR, BRANCHES["baseline"]])
    assert [int(name[7:10]) for name in names.values()] == list(range(first, first + 5))
    assert names["anchor"] == f"Dataset{first:03d}_A_Anchor" and names["baseline"].endswith("_A_Baseline")


def test_every_branch_keeps_its_id_when_others_are_not_there(raw):
    assert branch_dataset_names("Dataset007_A_b", [BRANCHES["small_hard"]]) == {
        "small_hard": "Dataset074_A_b_SmallHard"
    }


def test_own_datasets_may_be_there_already(raw):
    (raw / "Dataset072_A_MidLevel").mkdir()
    said = []
    assert branch_dataset_names("Dataset007_A", FOUR, said.append)["mid_level"] == "Dataset072_A_MidLevel"
    assert said == []


def test_ids_of_others_are_passed_over_and_said(raw):
    (raw / "Dataset073_Chest").mkdir()
    (raw / "Dataset011_Abdomen").mkdir()
    said = []
    names = branch_dataset_names("Dataset007_A", FOUR, said.append)
    assert list(names.values()) == [
        "Dataset021_A_Anchor",
        "Dataset022_A_MidLevel",
        "Dataset023_A_Detection",
        "Dataset024_A_SmallHard",
    ]
    (line,) = said
    assert "Dataset073_Chest" in line and "Dataset021_A_Anchor" in line


def test_a_dataset_of_others_that_comes_later_moves_nothing(raw):
    (raw / "Dataset073_Chest").mkdir()
    first = branch_dataset_names("Dataset007_A", FOUR)
    (raw / first["anchor"]).mkdir()
    (raw / "Dataset073_Chest").rmdir()
    assert branch_dataset_names("Dataset007_A", FOUR) == first


def test_no_free_ten_is_refused(raw):
    for ten in range(10, 1000, 10):
        (raw / f"Dataset{ten + 2:03d}_Other").mkdir()
    with pytest.raises(InputError, match="free dataset ids for the 4 branches of Dataset007_A"):
        branch_dataset_names("Dataset007_A", FOUR)


def test_only_other_datasets_of_an_id_count(raw):
    for name in ("Dataset071_A_Anchor", "Dataset071_B_Anchor", "Dataset710_C"):
        (raw / name).mkdir()
    assert others_with_ids_of({"anchor": "Dataset071_A_Anchor"}) == ["Dataset071_B_Anchor"]
