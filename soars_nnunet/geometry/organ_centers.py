"""Centres of organs in label volumes (Z, Y, X)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage


def organ_centers_mm(
    labels: np.ndarray, target_labels: Sequence[Sequence[int]], spacing_mm: Sequence[float]
) -> np.ndarray:
    """Centre of mass of every target's voxels.

    Args:
        labels: (Z, Y, X) integer label volume; values below 1 are ignored.
        target_labels: Labels (1 and up) of each target's organs, taken together.
        spacing_mm: Voxel size (Z, Y, X).

    Returns:
        (T, 3) float64, mm from the centre of voxel (0, 0, 0) along each axis; not rounded to a
        voxel. NaN for a target without a voxel; shape (0, 3) without targets.
    """
    boxes = label_boxes(labels, target_labels)
    centers = np.full((len(target_labels), 3), np.nan)
    for row, target in enumerate(target_labels):
        count, total = 0, np.zeros(3)
        for label in target:
            box = boxes[label - 1]
            if box is None:
                continue
            mask = labels[box] == label
            count += int(np.count_nonzero(mask))
            for axis, part in enumerate(box):
                others = tuple({0, 1, 2} - {axis})
                profile = mask.sum(axis=others)
                total[axis] += profile @ np.arange(part.start, part.stop)
        if count:
            centers[row] = total / count * np.asarray(spacing_mm)
    return centers


def label_boxes(labels: np.ndarray, target_labels: Sequence[Sequence[int]]) -> list[tuple[slice, ...] | None]:
    """Bounding boxes of labels.

    Args:
        labels: (Z, Y, X) integer label volume; values below 1 are ignored.
        target_labels: Labels (1 and up) of each target's organs.

    Returns:
        Slices (Z, Y, X) of label 1, 2, ... up to the highest of the targets; None for a label without a voxel.
    """
    highest = 1
    for target in target_labels:
        highest = max(highest, max(target, default=1))
    return ndimage.find_objects(labels, highest)
