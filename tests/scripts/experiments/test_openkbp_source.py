"""scripts/experiments/openkbp_source.py: what is linked, and that test patients are refused."""

import pytest

from scripts.experiments.openkbp_source import SourceError, prepare
from scripts.experiments.openkbp_source import test_patients as find_test_patients


def make_repository(folder, **patients):
    for part, numbers in patients.items():
        for number in numbers:
            (folder / "provided-data" / f"{part}-pats" / f"pt_{number}").mkdir(parents=True)
    return folder


def make_dataset(folder, *numbers):
    for name, ending in (("imagesTr", "_0000"), ("labelsTr", "")):
        (folder / name).mkdir(parents=True)
        for number in numbers:
            (folder / name / f"openkbp_{number:03d}{ending}.nii.gz").touch()
    for name in ("dataset.json", "cases.json"):
        (folder / name).write_text("{}")
    return folder


def test_numbers_above_240_are_test_patients():
    names = ["pt_240", "pt_241", "openkbp_300_0000.nii.gz", "openkbp_300.nii.gz", "openkbp_024.nii.gz", "notes_999"]
    assert find_test_patients(names) == [241, 300]


def test_of_the_repository_only_training_and_validation_patients_are_linked(tmp_path):
    source = make_repository(tmp_path / "open-kbp", train=[1, 200], validation=[201, 240], test=[241, 340])
    assert "train-pats and validation-pats" in prepare(source, tmp_path / "links", tmp_path / "raw")
    linked = {path.name for path in (tmp_path / "links").iterdir()}
    assert linked == {"train-pats", "validation-pats"}
    assert sorted(path.name for path in (tmp_path / "links").glob("*/*")) == ["pt_1", "pt_200", "pt_201", "pt_240"]
    assert not (tmp_path / "raw").exists()


def test_of_a_dataset_only_the_training_part_is_linked(tmp_path):
    source = make_dataset(tmp_path / "Dataset009_OpenKBP", 1, 240)
    (source / "imagesTs").mkdir()
    prepare(source, tmp_path / "links", tmp_path / "raw")
    prepare(source, tmp_path / "links", tmp_path / "raw")  # goes on where it stopped
    linked = {path.name for path in (tmp_path / "raw").iterdir()}
    assert linked == {"dataset.json", "cases.json", "imagesTr", "labelsTr"}


def test_test_patients_that_would_train_are_refused(tmp_path):
    repository = make_repository(tmp_path / "open-kbp", train=[1, 241], validation=[201])
    with pytest.raises(SourceError, match="1 of OpenKBP's test patients .241."):
        prepare(repository, tmp_path / "links", tmp_path / "raw")
    dataset = make_dataset(tmp_path / "Dataset009_OpenKBP", 1, 340)
    with pytest.raises(SourceError, match="340"):
        prepare(dataset, tmp_path / "links", tmp_path / "raw")
    assert not (tmp_path / "links").exists() and not (tmp_path / "raw").exists()


def test_another_folder_is_refused_with_what_it_lacks(tmp_path):
    (tmp_path / "imagesTr").mkdir()
    with pytest.raises(SourceError, match="lacks dataset.json, cases.json, labelsTr"):
        prepare(tmp_path, tmp_path / "links", tmp_path / "raw")


def test_a_run_does_not_go_on_with_another_source(tmp_path):
    for name in ("one", "other"):
        make_repository(tmp_path / name, train=[1], validation=[201])
        make_dataset(tmp_path / f"Dataset009_{name}", 1)
    prepare(tmp_path / "one", tmp_path / "links", tmp_path / "raw")
    prepare(tmp_path / "Dataset009_one", tmp_path / "links", tmp_path / "raw")
    for other in ("other", "Dataset009_other"):
        with pytest.raises(SourceError, match="of another source"):
            prepare(tmp_path / other, tmp_path / "links", tmp_path / "raw")
