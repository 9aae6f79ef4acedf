"""Phantoms as a raw nnU-Net dataset."""

import json

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.phantom.dataset import write_phantom_dataset
from soars_nnunet.phantom.phantom import make_phantom
from soars_nnunet.profile import load_profile

HN42 = load_profile("hn42")


def test_written_dataset_is_a_raw_nnunet_dataset(tmp_path):
    folder, lines = tmp_path / "Dataset900_Phantom", []
    write_phantom_dataset(
        folder,
        num_training=2,
        num_test=1,
        shape=(36, 30, 30),
        spacing_mm=(8.0, 8.0, 8.0),
        seed=5,
        progress=lines.append,
    )
    description = json.loads((folder / "dataset.json").read_text())
    assert description["labels"] == {"background": 0, **{organ.name: organ.label for organ in HN42.organs}}
    assert description["numTraining"] == 2 and description["channel_names"] == {"0": "CT"}
    assert description["overwrite_image_reader_writer"] == "SimpleITKIOWithReorient"
    written = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
    assert written == sorted(
        ["dataset.json", "imagesTs/phantom_002_0000.nii.gz", "labelsTs/phantom_002.nii.gz"]
        + [f"imagesTr/phantom_00{i}_0000.nii.gz" for i in (0, 1)]
        + [f"labelsTr/phantom_00{i}.nii.gz" for i in (0, 1)]
    )
    assert len(lines) == 3
    image = sitk.ReadImage(str(folder / "imagesTr/phantom_000_0000.nii.gz"))
    labels = sitk.ReadImage(str(folder / "labelsTr/phantom_000.nii.gz"))
    for read in (image, labels):
        assert read.GetSize() == (30, 30, 36) and read.GetSpacing() == (8.0, 8.0, 8.0)
        np.testing.assert_allclose(read.GetOrigin(), (-116, -116, -140))
        np.testing.assert_allclose(read.GetDirection(), np.eye(3).ravel())
    expected = make_phantom(1_000_000, (36, 30, 30), (8.0, 8.0, 8.0))
    assert np.array_equal(sitk.GetArrayFromImage(image), expected.ct_hu)
    assert np.array_equal(sitk.GetArrayFromImage(labels), expected.labels)
    test_ct = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "imagesTs/phantom_002_0000.nii.gz")))
    assert np.array_equal(test_ct, make_phantom(1_000_005, (36, 30, 30), (8.0, 8.0, 8.0)).ct_hu)  # odd: tests only

    with pytest.raises(ValueError, match="expected an empty folder .* got 2 other files, e.g. phantom_002.nii.gz"):
        write_phantom_dataset(folder, num_training=2, num_test=0, shape=(36, 30, 30), spacing_mm=(8.0, 8.0, 8.0))


@pytest.mark.parametrize(
    ("training", "test", "name"), [(0, 1, "num_training"), (-1, 1, "num_training"), (1, -1, "num_test")]
)
def test_bad_case_numbers_are_refused_before_writing(tmp_path, training, test, name):
    with pytest.raises(ValueError, match=f"{name}: expected .* got"):
        write_phantom_dataset(
            tmp_path / "data", num_training=training, num_test=test, shape=(8, 8, 8), spacing_mm=(30.0, 30.0, 30.0)
        )
    assert not (tmp_path / "data").exists()


def test_what_a_killed_run_left_is_removed(tmp_path):
    (tmp_path / "imagesTr").mkdir()
    (tmp_path / "imagesTr" / ".phantom_000_0000.99.nii.gz").touch()
    write_phantom_dataset(tmp_path, num_training=1, num_test=0, shape=(8, 8, 8), spacing_mm=(30.0, 30.0, 30.0))
    assert [path.name for path in (tmp_path / "imagesTr").iterdir()] == ["phantom_000_0000.nii.gz"]
