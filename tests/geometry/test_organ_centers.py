"""Centres and boxes of organs, against all voxels at once and SimpleITK's statistics."""

import numpy as np
import SimpleITK as sitk

from soars_nnunet.geometry.organ_centers import label_boxes, organ_centers_mm

SPACING = np.array([3.0, 1.0, 1.5])


def test_centers_of_unions(labels):
    targets = [(1,), (1, 2), (3,), (4,), (9, 3)]
    centers = organ_centers_mm(labels, targets, SPACING)
    assert centers.shape == (5, 3)
    for target, center in zip(targets, centers, strict=True):
        voxels = np.argwhere(np.isin(labels, target))
        if len(voxels):
            np.testing.assert_allclose(center, voxels.mean(0) * SPACING)
        else:
            assert np.isnan(center).all()
    assert organ_centers_mm(labels, [], SPACING).shape == (0, 3)


def test_boxes_and_centres_of_single_labels_are_simpleitks():
    volume = np.random.default_rng(0).integers(0, 6, (9, 10, 11)).astype(np.uint8)
    volume[:, :, 5:] = 0
    volume[volume == 4] = 0
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing(SPACING[::-1].tolist())
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.Execute(image)
    targets = [(label,) for label in range(1, 7)]
    centers = organ_centers_mm(volume, targets, SPACING)
    boxes = label_boxes(volume, targets)
    assert len(boxes) == 6 and boxes[3] is None and boxes[5] is None
    for label in (1, 2, 3, 5):
        np.testing.assert_allclose(centers[label - 1], statistics.GetCentroid(label)[::-1])
        x, y, z, width, height, depth = statistics.GetBoundingBox(label)
        assert boxes[label - 1] == (slice(z, z + depth), slice(y, y + height), slice(x, x + width))


def test_boxes_go_up_to_the_highest_target_even_without_voxels():
    empty = np.zeros((2, 3, 4), np.uint8)
    assert label_boxes(empty, [(2,), (7, 3)]) == [None] * 7
    assert label_boxes(empty, []) == [None] and label_boxes(empty, [()]) == [None]
