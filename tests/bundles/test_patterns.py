"""Which regular expressions a bundle may bring."""

import time

import pytest

from soars_nnunet.bundles.node import Node
from soars_nnunet.bundles.patterns import patient_pattern
from soars_nnunet.cascade.case_names import patient_of
from soars_nnunet.errors import MissingArtifactError

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
    assert patient_pattern(Node(pattern, "manifest.json")) == pattern
    started = time.process_time()
    for name in ("a" * 255, "_" * 255, "HN_" * 85, "1" * 254 + "x"):
        patient_of(name, pattern)
    assert time.process_time() - started < 5


def test_without_a_pattern_a_case_is_a_patient():
    assert patient_pattern(Node(None, "manifest.json")) is None


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
        patient_pattern(Node(pattern, "manifest.json"))
