"""Windows of crops, and where their voxels lie in a patch."""

import numpy as np

from soars_nnunet.geometry.grid import Grid
from soars_nnunet.training.voi_crops import CropGeometry, CropInPatch, cut_window, random_window


def simple_geometry(start=(2, 4, 6)):
    """A crop of 5 x 6 x 7 voxels of a case of 20^3, both at 1 mm; its voxel 0 is the case's voxel ``start``."""
    grid = Grid((20, 20, 20), ((0, 20),) * 3, (20, 20, 20), (1.0, 1.0, 1.0))
    stuff = {"spacing": (1.0, 1.0, 1.0), "origin": (0.0, 0.0, 0.0), "direction": np.eye(3).ravel().tolist()}
    crop = {
        "sitk_stuff": {**stuff, "origin": tuple(float(v) for v in start[::-1])},
        "spacing": [1.0, 1.0, 1.0],
        "shape_before_cropping": (5, 6, 7),
        "bbox_used_for_cropping": [[0, 5], [0, 6], [0, 7]],
    }
    return CropGeometry(crop, (5, 6, 7), {"sitk_stuff": stuff}, grid)


def test_a_crop_lies_at_its_origin():
    geometry = simple_geometry()
    np.testing.assert_allclose(geometry.start, [2, 4, 6])
    np.testing.assert_allclose(geometry.step, [1, 1, 1])
    np.testing.assert_allclose(geometry.center, [4, 6.5, 9])


def test_points_of_a_window_are_patch_voxels_and_end_with_it():
    points = simple_geometry().points(((1, 3), (0, 4), (2, 5)), np.array([1.0, 2.0, 3.0]))
    expected = [[2, 3, np.nan, np.nan], [2, 3, 4, 5], [5, 6, 7, np.nan]]
    np.testing.assert_array_equal(points, expected)


def test_a_crop_belongs_to_a_patch_that_holds_its_middle():
    geometry = simple_geometry()
    inside = CropInPatch(0, "a__x", geometry, np.array([0.0, 0.0, 0.0]))
    assert inside.is_within(np.array([5, 8, 10])) and not inside.is_within(np.array([4, 8, 10]))
    assert not CropInPatch(0, "a__x", geometry, np.array([4.5, 0.0, 0.0])).is_within(np.array([9, 9, 99]))


def test_windows_are_anywhere_in_the_crop_and_centred_round_a_smaller_one():
    np.random.seed(0)
    windows = [random_window((5, 6, 3), (3, 6, 8)) for _ in range(50)]
    assert {window[0] for window in windows} == {(0, 3), (1, 4), (2, 5)}
    assert {window[1] for window in windows} == {(0, 6)} and {window[2] for window in windows} == {(-3, 5)}


def test_outside_of_the_crop_is_empty_and_the_border_mark_is_background():
    data = np.arange(2 * 8, dtype=np.float32).reshape(2, 2, 2, 2) + 1
    segmentation = np.array([-1, 1, 2, 3, 0, 1, 2, 3], np.int8).reshape(1, 2, 2, 2)
    ct, labels = cut_window(data, segmentation, ((-1, 1), (0, 2), (0, 2)))
    assert ct.shape == labels.shape == (1, 2, 2, 2)
    assert not ct[0, 0].any() and not labels[0, 0].any()
    assert ct[0, 1].tolist() == [[1, 2], [3, 4]] and labels[0, 1].tolist() == [[0, 1], [2, 3]]
