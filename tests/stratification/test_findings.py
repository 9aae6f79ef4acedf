"""What is noticed of the cases, and organs that nobody drew at all."""

from dataclasses import replace

import pytest

from soars_nnunet.cascade.record import Cascade
from soars_nnunet.errors import InputError
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.branch_files import WrittenLabels
from soars_nnunet.stratification.findings import Stratification, describe_refused

LABELS = {"Brainstem": 1, "Parotid_L": 2, "Larynx": 3}


def lacking(*empty):
    return WrittenLabels(list(empty))


@pytest.fixture
def findings():
    return Stratification(Cascade("Dataset007_A", load_profile("hn42"), {}, LABELS), [], [])


def test_organs_without_a_voxel_count_as_not_annotated(findings):
    findings.note("a", lacking("Larynx", "Parotid_L"), ["Larynx", "Brainstem"], empty_means_absent=False)
    assert findings.empty == {"a": ["Larynx", "Parotid_L"]}
    assert findings.not_annotated == {"a": ["Brainstem", "Parotid_L", "Larynx"]}
    assert findings.assumed == {"a": ["Parotid_L"]} and findings.unused == {"a": ["Brainstem"]}


def test_they_are_absent_if_the_user_says_so(findings):
    findings.note("a", lacking("Larynx", "Parotid_L"), ["Larynx"], empty_means_absent=True)
    assert findings.not_annotated == {"a": ["Larynx"]} and findings.assumed == findings.unused == {}


def test_complete_cases_are_not_mentioned(findings):
    findings.note("a", lacking(), [], empty_means_absent=False)
    assert findings.empty == findings.not_annotated == findings.assumed == findings.unused == {}
    findings.require_contours(["a"])


def test_every_organ_must_be_drawn_in_some_case(findings):
    findings.note("a", lacking("Larynx", "Parotid_L"), ["Brainstem"], empty_means_absent=True)
    findings.note("b", lacking("Larynx"), ["Brainstem"], empty_means_absent=True)
    with pytest.raises(InputError, match="no case has a contour of Brainstem, Larynx; remove"):
        findings.require_contours(["a", "b"])
    findings.require_contours(["a", "b", "c"])


def test_cases_with_ignored_voxels_are_known(findings):
    findings.note(
        "a", WrittenLabels(["Larynx"], ["Larynx", "Parotid_L"], has_ignored=True), [], empty_means_absent=True
    )
    assert findings.ignoring == ["a"] and findings.partly == {"a": ["Larynx", "Parotid_L"]}
    assert findings.not_annotated == {}


def test_each_refused_case_is_named_with_its_reason_once(findings):
    findings.require_all()
    findings.refused = {"a": "a: sides are swapped", "b": "/data/b.nii.gz: cut", "c": "another grid"}
    with pytest.raises(InputError, match="3 case.s. .*: a: sides are swapped; /data/b.nii.gz: cut; c: another grid;"):
        findings.require_all()
    findings.cascade = replace(findings.cascade, left_out={"a": "", "b": "", "c": ""})
    findings.require_all()
    assert "--leave-out" in describe_refused("Dataset007_A", {"a": "x"})
