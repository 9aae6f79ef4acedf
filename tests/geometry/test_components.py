"""Largest components against SimpleITK's connected components."""

import numpy as np
import SimpleITK as sitk

from soars_nnunet.geometry.components import keep_largest_components


def reference(labels, chosen):
    """The same by SimpleITK, label by label on the whole volume."""
    cleaned = labels.copy()
    for label in chosen:
        mask = sitk.GetImageFromArray((labels == label).astype(np.uint8))
        parts = sitk.GetArrayFromImage(sitk.ConnectedComponent(mask, True))
        sizes = np.bincount(parts.ravel())[1:]
        for part in np.flatnonzero(sizes < sizes.max(initial=0)) + 1:
            cleaned[parts == part] = 0
    return cleaned


def test_equals_simpleitk_on_blobs_of_random_labels():
    generator = np.random.default_rng(0)
    for _ in range(5):
        blobs = generator.integers(0, 4, (7, 8, 9)).repeat(2, 0).repeat(2, 1).repeat(2, 2).astype(np.uint8)
        blobs[generator.random(blobs.shape) < 0.45] = 0
        cleaned = keep_largest_components(blobs, [1, 3])
        np.testing.assert_array_equal(cleaned, reference(blobs, [1, 3]))
        np.testing.assert_array_equal(cleaned == 2, blobs == 2)
        assert (cleaned == 1).sum() < (blobs == 1).sum()


def test_a_stray_goes_and_its_voxels_become_background():
    labels = np.zeros((5, 12, 5), np.uint8)
    labels[1:4, 1:5, 1:4], labels[2, 9, 2] = 7, 7
    labels[2, 6:8, 2] = 3  # inside the box of label 7
    expected = labels.copy()
    expected[2, 9, 2] = 0
    np.testing.assert_array_equal(keep_largest_components(labels, [7, 3, 200]), expected)
    assert labels[2, 9, 2] == 7


def test_corners_connect_and_equal_sizes_stay():
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[0, 0, 0] = labels[1, 1, 1] = labels[4, 4, 4] = labels[5, 5, 5] = 1
    np.testing.assert_array_equal(keep_largest_components(labels, [1]), labels)
    assert not keep_largest_components(np.zeros((3, 3, 3), np.uint8), [1]).any()
