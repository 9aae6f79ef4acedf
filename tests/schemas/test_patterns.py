"""Which regular expressions a bundle may bring."""

import re
import time

import pytest

from soars_nnunet.cascade.case_names import patient_of
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.schemas.node import Node
from soars_nnunet.schemas.patterns import check_simple_pattern, pattern_problem

GOOD = [
    r"^(P\d+)_",
    r"^(.+)_\d+$",
    r"(pt_\d{3})",
    r"^([A-Za-z]+)-\d+",
    r"^(?:HN|OPC)_(\d+)",
    r"(.*)_.*_a",
    r"([^_]+)_",
]


@pytest.mark.parametrize("pattern", GOOD)
def test_patterns_of_usual_kinds_are_taken_and_no_name_keeps_them_busy(pattern):
    check_simple_pattern(Node(pattern, "manifest.json"))
    assert pattern_problem(pattern, ()) is None
    started = time.process_time()
    for name in ("a" * 255, "_" * 255, "HN_" * 85, "1" * 254 + "x"):
        patient_of(name, pattern)
    assert time.process_time() - started < 5


def test_without_a_pattern_a_case_is_a_patient():
    check_simple_pattern(Node(None, "manifest.json"))


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+$",
        "(a|a)*b",
        "((?:a|aa)+)$",
        "(.*)(?:.*)(?:.*)(?:.*)x",
        r"(a)\1+",
        "(?=a+)(a)",
        "(?P<name>a)",
        "(a?a?a?a?)",
        "(a{1,9}a{1,9}a{1,9}a{1,9})",
        "[[a](b)",
        "(a",
        "(a)(b)",
        "abc",
        "(a)" + "b" * 100,
        3,
        ["(a)"],
        "(a{99999999999})",
    ],
)
def test_others_are_refused(pattern):
    with pytest.raises(MissingArtifactError, match="^manifest.json"):
        check_simple_pattern(Node(pattern, "manifest.json"))


@pytest.mark.parametrize(
    "pattern", [r"(?P<name>P\d+)_", r"^(HN|OPC|LRX)_?(\d+)?", r"^((?:[A-Z]{2}_)+\d+)_s\d+$", r"(?i)^(p\d+)"]
)
def test_a_user_may_give_any_that_is_quick(pattern):
    assert pattern_problem(pattern, ("HN_12_s1", "P001_a")) is None


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(a+)+$", "takes more than"),
        (r"^(\w+\s?)*$", "takes more than"),
        ("(", r"is not a regular expression \(missing"),
        ("abc", "is without a group: 0 groups"),
        ("(a)" + "b" * 600, "has 603 signs"),
    ],
)
def test_a_user_hears_what_is_wrong_with_a_pattern(pattern, problem, monkeypatch):
    monkeypatch.setattr("soars_nnunet.schemas.patterns.MAX_SECONDS", 1.0)
    assert re.match(problem, pattern_problem(pattern, ("a1",)))
