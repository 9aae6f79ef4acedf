"""Label maps and dataset.json of a branch."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.cascade.dataset_listing import CaseFiles
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import InputError
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.branch_files import write_branch_json, write_branch_labels

PROFILE = load_profile("hn42")
LABELS = {"Brainstem": 7, "Cochlea_L": 3, "Ear_Internal_L": 5, "Pineal": 250}
NAMED = {0, 99, *LABELS.values()}
DATASETS = {"anchor": "Dataset071_A_Anchor", "detection": "Dataset073_A_Detection"}


@pytest.fixture
def raw(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "raw"))
    return tmp_path / "raw"


@pytest.fixture
def cascade():
    return Cascade("Dataset007_A", PROFILE, DATASETS, LABELS)


@pytest.fixture
def files(tmp_path):
    """A case with a block of each organ but the pineal gland, and one of a label that is no organ's."""
    labels = np.zeros((12, 12, 12), np.uint8)
    for index, value in enumerate((7, 3, 5, 99)):
        labels[2 * index + 1] = value
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((2.0, 2.0, 3.0))
    ct = sitk.Cast(image > 0, sitk.sitkInt16) * 1300 - 1000
    sitk.WriteImage(image, str(tmp_path / "labels.nii.gz"))
    sitk.WriteImage(ct, str(tmp_path / "ct.nii.gz"))
    return CaseFiles(ct=tmp_path / "ct.nii.gz", labels=tmp_path / "labels.nii.gz")


def written(cascade, files, tmp_path, not_annotated=()):
    folders = {key: tmp_path / key for key in DATASETS}
    for folder in folders.values():
        folder.mkdir()
    organs = write_branch_labels(
        cascade, "a", files, folders, not_annotated=not_annotated, named=NAMED, ending=".nii.gz"
    )
    images = {key: sitk.ReadImage(str(folder / "labelsTr" / "a.nii.gz")) for key, folder in folders.items()}
    return organs, images


def test_each_branch_has_its_own_consecutive_labels_on_the_sources_grid(cascade, files, tmp_path):
    organs, images = written(cascade, files, tmp_path)
    source = sitk.ReadImage(str(files.labels))
    array = sitk.GetArrayFromImage(source)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(images["anchor"]), array == 7)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(images["detection"]), np.isin(array, (3, 5)))
    assert (organs.empty, organs.partly, organs.has_ignored) == (["Pineal"], [], False)
    for image in images.values():
        assert image.GetSpacing() == source.GetSpacing() and image.GetOrigin() == source.GetOrigin()


def test_a_class_that_lacks_an_organ_stays_empty_and_its_voxels_still_count(cascade, files, tmp_path):
    organs, images = written(cascade, files, tmp_path, ["Cochlea_L"])
    assert not sitk.GetArrayFromImage(images["detection"]).any() and organs.empty == ["Pineal"]
    assert sitk.GetArrayFromImage(images["anchor"]).any()


def test_voxels_labelled_ignore_stay_open_and_take_the_targets_that_they_touch(cascade, files, tmp_path):
    """Label 99 lies two slices above the inner ear, and here fills the slice between them, too."""
    labels = sitk.ReadImage(str(files.labels))
    array = sitk.GetArrayFromImage(labels)
    array[6] = 99
    ignoring = sitk.GetImageFromArray(array)
    ignoring.CopyInformation(labels)
    sitk.WriteImage(ignoring, str(files.labels))
    organs, images = written(replace(cascade, ignore=99), files, tmp_path)
    assert (organs.empty, organs.partly, organs.has_ignored) == (["Pineal"], ["Ear_Internal_L", "Pineal"], True)
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(images["anchor"]), np.where(array == 7, 1, np.where(array == 99, 2, 0))
    )
    # cochlea and inner ear are one target, whose centre is unknown now
    assert not sitk.GetArrayFromImage(images["detection"]).any()


@pytest.mark.parametrize("value", [98, 77, 255])
def test_values_that_dataset_json_does_not_list_are_refused(cascade, files, tmp_path, value):
    labels = sitk.ReadImage(str(files.labels))
    labels[0, 0, 0] = value
    sitk.WriteImage(labels, str(files.labels))
    with pytest.raises(InputError, match=rf"labels.nii.gz: .* dataset.json lists, got also {value} \(1 voxels\)"):
        written(cascade, files, tmp_path)
    assert not list((tmp_path / "anchor").iterdir())


def test_a_ct_on_another_grid_is_refused_before_anything_is_written(cascade, files, tmp_path):
    ct = sitk.ReadImage(str(files.ct))
    ct.SetSpacing((2.0, 2.0, 3.5))
    sitk.WriteImage(ct, str(files.ct))
    with pytest.raises(InputError, match="a: expected the label map on the grid of ct.nii.gz"):
        written(cascade, files, tmp_path)
    assert not list((tmp_path / "anchor").iterdir())


def test_cts_are_named_below_the_raw_folder_or_by_their_whole_path(cascade, raw, tmp_path):
    cases = {
        "b": CaseFiles(ct=tmp_path / "elsewhere" / "b.nii.gz", labels=tmp_path / "x"),
        "a": CaseFiles(ct=raw / "Dataset007_A" / "imagesTr" / "a_0000.nii.gz", labels=tmp_path / "y"),
    }
    (tmp_path / "out").mkdir()
    write_branch_json(cascade, "detection", tmp_path / "out", cases, ending=".nii.gz")
    data = read_json(tmp_path / "out" / "dataset.json")
    assert list(data["dataset"]) == ["a", "b"] and data["numTraining"] == 2
    assert data["dataset"]["a"] == {
        "images": ["$nnUNet_raw/Dataset007_A/imagesTr/a_0000.nii.gz"],
        "label": "$nnUNet_raw/Dataset073_A_Detection/labelsTr/a.nii.gz",
    }
    assert data["dataset"]["b"]["images"] == [str(tmp_path / "elsewhere" / "b.nii.gz")]
