"""Label maps: whole numbers on the grid of their CT, read alike by nibabel."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from made_cts import image_of

from soars_nnunet.errors import InputError
from soars_nnunet.images.label_map import check_same_grid, count_labels, labels_beside, read_label_map

LABELS = np.random.default_rng(0).integers(0, 43, (9, 10, 11))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_read_as_nibabel_reads_them(tmp_path, dtype):
    path = tmp_path / "labels.nii.gz"
    sitk.WriteImage(image_of(LABELS.astype(dtype)), str(path))
    labels = read_label_map(path)
    assert labels.GetPixelID() == sitk.sitkInt32
    array = sitk.GetArrayFromImage(labels)
    np.testing.assert_array_equal(array, LABELS)
    np.testing.assert_array_equal(array, np.asanyarray(nibabel.load(path).dataobj).T)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (image_of(LABELS + 0.5), "expected whole-number labels, got fractions"),
        (image_of((LABELS - 1).astype(np.int16)), "labels of 0 to 65535, got -1 to 41; is this the CT?"),
        (image_of(np.where(LABELS == 7, 2**32 + 1, LABELS)), "got 0 to 4.29497e.09; is this the CT?"),
        (image_of(np.where(LABELS == 7, 65536, LABELS).astype(np.int32)), "got 0 to 65536"),
        (sitk.GetImageFromArray(LABELS[0].astype(np.uint8)), "expected a 3D label map with one value a voxel"),
        (sitk.GetImageFromArray(np.stack([LABELS] * 3, -1).astype(np.uint8), isVector=True), "one value a voxel"),
    ],
)
def test_what_is_no_label_map_is_refused(tmp_path, image, message):
    path = tmp_path / "labels.nrrd"
    sitk.WriteImage(image, str(path))
    with pytest.raises(InputError, match=message):
        read_label_map(path)


TURN = np.array([[1, 0, 0], [0, np.cos(3e-3), -np.sin(3e-3)], [0, np.sin(3e-3), np.cos(3e-3)]])
OTHER_GRIDS = {
    "size": image_of(LABELS[:-1].astype(np.uint8)),
    "spacing": image_of(LABELS.astype(np.uint8), (1.0, 1.2, 3.01)),
    "origin": image_of(LABELS.astype(np.uint8), origin=(0.0, 0.0, 0.1)),
    "direction": image_of(LABELS.astype(np.uint8), direction=TURN),
}


@pytest.mark.parametrize("what", OTHER_GRIDS)
def test_another_grid_is_refused_and_named(tmp_path, what):
    ct = tmp_path / "ct.nii.gz"
    sitk.WriteImage(image_of(LABELS.astype(np.int16)), str(ct))
    with pytest.raises(InputError, match=f"case_7: expected the label map on the grid of ct.nii.gz, with {what}"):
        check_same_grid(OTHER_GRIDS[what], ct, "case_7")


def test_rounding_of_file_formats_is_no_other_grid(tmp_path):
    ct = tmp_path / "ct.nii.gz"
    sitk.WriteImage(image_of(LABELS.astype(np.int16), (0.9765625, 1.2, 3.0), origin=(-249.51, 12.0, 3.3)), str(ct))
    rounded = image_of(LABELS.astype(np.uint8), (0.97656, 1.2, 3.0), origin=(-249.512, 12.0, 3.3))
    check_same_grid(rounded, ct, "case_7")


def test_a_damaged_ct_is_told(tmp_path):
    (tmp_path / "ct.nii.gz").write_bytes(b"hello")
    with pytest.raises(InputError, match="ct.nii.gz: expected a readable image file, got a damaged or truncated one"):
        check_same_grid(image_of(LABELS.astype(np.uint8)), tmp_path / "ct.nii.gz", "case_7")


def test_voxels_are_counted_by_label():
    expected = [np.count_nonzero(LABELS == value) for value in range(45)]
    for dtype in (np.uint8, np.int32):
        np.testing.assert_array_equal(count_labels(LABELS.astype(dtype), 44), expected)
    np.testing.assert_array_equal(count_labels(np.zeros((0, 4, 4), np.uint8), 3), [0, 0, 0, 0])


def test_labels_beside_one_are_those_that_touch_it_at_a_face_an_edge_or_a_corner():
    labels = np.zeros((7, 7, 7), int)
    labels[3, 3, 3] = 9
    labels[3, 3, 4] = 1
    labels[2, 2, 3] = 2
    labels[4, 4, 4] = 3
    labels[3, 3, 1] = 4
    assert labels_beside(labels, 9) == {1, 2, 3}
    assert labels_beside(labels, 8) == set()
