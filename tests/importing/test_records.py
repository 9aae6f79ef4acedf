"""Records of cases, and the readable report of an import."""

import json
from pathlib import Path

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.importing.findings import Finding
from soars_nnunet.importing.records import CASE_LISTS, CaseRecord, Import

ON_DISK = {
    "key": "abc",
    "kind": "training",
    "group": None,
    "voxels": {"Brainstem": 12, "Larynx": 0},
    "undrawn": ["Parotid_L", "Parotid_R"],
    "findings": [
        {"kind": "missing", "text": "Parotid_L", "case": "p1"},
        {"kind": "overlap", "text": "a over b", "case": "p1", "voxels": 4},
    ],
    "files": {"labelsTr/p1.nii.gz": "123"},
}


def record(kind="training"):
    return CaseRecord.from_dict({**ON_DISK, "kind": kind})


def done(kinds, refused=()):
    cases = {f"p{index}": record(kind) for index, kind in enumerate(kinds)}
    findings = [Finding("foreign", "plan.bin")]
    return Import(Path("Dataset007_Clinic"), {"Brainstem": 1}, cases, findings, dict.fromkeys(refused, "why"))


def test_a_record_goes_to_json_and_back():
    there = record()
    assert there.not_annotated == ["Parotid_L", "Parotid_R"]
    assert there.findings == (Finding("missing", "Parotid_L", "p1"), Finding("overlap", "a over b", "p1", 4))
    assert json.loads(json.dumps(there.to_dict())) == ON_DISK
    assert CaseRecord.from_dict(there.to_dict()) == there


def test_a_case_in_one_line():
    assert record().summary() == "2 structures; not drawn: Parotid_L, Parotid_R"
    assert CaseRecord.from_dict({**ON_DISK, "undrawn": []}).summary() == "2 structures"


def test_the_report_counts_cases_by_kind():
    lines = done(["training", "labels_only", "training"]).lines()
    assert lines[0] == "Dataset007_Clinic: 2 training, 1 labels only case(s), 1 structures"
    assert "  plan.bin" in lines
    assert list(done(["test", "training", "test"]).of_kind("test")) == ["p0", "p2"]


def test_the_next_step_depends_on_training_cases():
    listed = Path("Dataset007_Clinic") / CASE_LISTS["training"]
    assert done(["training"]).next_step() == f"next: soars-stratify -d 7 -p PROFILE --not-annotated {listed}"
    assert done(["test", "labels_only"]).next_step().startswith("no training case with a CT: Dataset007_Clinic serves")


def test_cases_left_out_are_an_error():
    done(["training"]).require_all()
    with pytest.raises(InputError, match=r"2 case\(s\) left out: q1, q2; Dataset007_Clinic has the others"):
        done(["training"], ["q1", "q2"]).require_all()
