"""Largest parts against SimpleITK's connected components and distance maps."""

import numpy as np
import SimpleITK as sitk

from soars_nnunet.geometry.components import MAX_GAP_MM, keep_largest_parts


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
        cleaned = keep_largest_parts(blobs, [1, 3], (1, 1, 1), 0)
        np.testing.assert_array_equal(cleaned, reference(blobs, [1, 3]))
        np.testing.assert_array_equal(cleaned == 2, blobs == 2)
        assert (cleaned == 1).sum() < (blobs == 1).sum()


def test_a_stray_goes_and_its_voxels_become_background():
    labels = np.zeros((5, 12, 5), np.uint8)
    labels[1:4, 1:5, 1:4], labels[2, 9, 2] = 7, 7
    labels[2, 6:8, 2] = 3  # inside the box of label 7
    expected = labels.copy()
    expected[2, 9, 2] = 0
    np.testing.assert_array_equal(keep_largest_parts(labels, [7, 3, 200], (1, 1, 1), 0), expected)
    assert labels[2, 9, 2] == 7


def test_corners_connect_and_equal_sizes_stay():
    labels = np.zeros((6, 6, 6), np.uint8)
    labels[0, 0, 0] = labels[1, 1, 1] = labels[4, 4, 4] = labels[5, 5, 5] = 1
    np.testing.assert_array_equal(keep_largest_parts(labels, [1], (1, 1, 1), 0), labels)
    assert not keep_largest_parts(np.zeros((3, 3, 3), np.uint8), [1], (1, 1, 1)).any()


def test_short_gaps_in_mm_are_bridged_by_chains():
    labels = np.zeros((40, 3, 3), np.uint8)
    labels[:10] = labels[14:16] = labels[20:21] = labels[30:33] = 2  # gaps of 5, 5 and 10 slices, centre to centre
    for z_mm, gap_mm, end in ((2.0, 10.0, 21), (2.0, 9.9, 10), (1.0, 10.0, 33), (3.0, MAX_GAP_MM, 10)):
        kept = keep_largest_parts(labels, [2], (z_mm, 9.0, 9.0), gap_mm)
        assert np.flatnonzero(kept.any((1, 2))).max() + 1 == end
        np.testing.assert_array_equal(kept[:end], labels[:end])


def test_bridging_equals_growing_by_simpleitks_distance_maps():
    generator = np.random.default_rng(1)
    spacing_mm = (3.0, 1.5, 1.0)
    for gap_mm in (2.0, 3.5, 5.0):
        labels = (generator.random((9, 14, 16)) < 0.02).astype(np.uint8)
        labels[3:5, 5:9, 6:10] = 1
        parts = sitk.GetArrayFromImage(sitk.ConnectedComponent(sitk.GetImageFromArray(labels), True))
        expected, grown = None, reference(labels, [1])
        while expected is None or (grown != expected).any():
            expected = grown
            image = sitk.GetImageFromArray(expected)
            image.SetSpacing(spacing_mm[::-1])
            distance = sitk.GetArrayFromImage(sitk.SignedMaurerDistanceMap(image, False, False, True))
            near = np.unique(parts[(labels > 0) & (distance <= gap_mm + 1e-5)])
            grown = np.isin(parts, near).astype(np.uint8)
        np.testing.assert_array_equal(keep_largest_parts(labels, [1], spacing_mm, gap_mm), expected)
        assert 0 < expected.sum() < labels.sum()
