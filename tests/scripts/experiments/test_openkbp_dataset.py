"""scripts/experiments/openkbp_dataset.py: which cases train and test."""

import pytest

from scripts.experiments.openkbp_dataset import make_dataset
from soars_nnunet.cascade.storage import read_json, write_json


def write_raw(folder, cases):
    for kind, suffix in (("imagesTr", "_0000"), ("labelsTr", "")):
        (folder / kind).mkdir(parents=True)
        for case in cases:
            (folder / kind / f"{case}{suffix}.nii.gz").write_text(f"{kind} {case}")
    write_json(folder / "dataset.json", {"labels": {"Larynx": 1}, "file_ending": ".nii.gz", "numTraining": len(cases)})


@pytest.fixture
def sets(tmp_path):
    """Eight complete and two partly contoured cases."""
    complete, partial = tmp_path / "complete", tmp_path / "partial"
    write_raw(complete, [f"c{index}" for index in range(8)])
    write_raw(partial, ["p0", "p1"])
    return complete, partial


def names(folder):
    return sorted(path.name.removesuffix(".nii.gz") for path in folder.iterdir())


def test_the_third_of_every_five_complete_cases_tests_and_all_partial_ones_train(sets, tmp_path):
    raw = tmp_path / "raw"
    assert make_dataset(raw, *sets) == (8, 2)
    assert names(raw / "labelsTs") == ["c2", "c7"]
    assert names(raw / "labelsTr") == ["c0", "c1", "c3", "c4", "c5", "c6", "p0", "p1"]
    assert names(raw / "imagesTs") == ["c2_0000", "c7_0000"]
    assert (raw / "labelsTr" / "p1.nii.gz").read_text() == "labelsTr p1"
    assert read_json(raw / "dataset.json") == {"labels": {"Larynx": 1}, "file_ending": ".nii.gz", "numTraining": 8}


def test_a_second_call_and_no_partial_cases(sets, tmp_path):
    raw = tmp_path / "raw"
    assert make_dataset(raw, sets[0], None) == make_dataset(raw, sets[0], None) == (6, 2)
