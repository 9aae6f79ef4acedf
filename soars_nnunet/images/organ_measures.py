"""Measuring the organs of a label map in the patient's own frame."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from soars_nnunet.anatomy.measures import OrganMeasure


def measure_organs(labels: np.ndarray, image: sitk.Image, values: Mapping[str, int]) -> dict[str, OrganMeasure]:
    """Centre and volume of every organ that has a voxel.

    Args:
        labels: (Z, Y, X) integers of the image's own voxel order.
        image: Gives the geometry.
        values: Label by organ.

    Returns:
        By organ, in the order of ``values``.
    """
    highest = max(values.values(), default=0)
    boxes = ndimage.find_objects(labels, highest) if highest else []
    voxel_ml = float(np.prod(image.GetSpacing())) / 1000
    measures = {}
    for name, value in values.items():
        box = boxes[value - 1] if value > 0 else None
        if box is None:
            continue
        mask = labels[box] == value
        start = np.array([side.start for side in box])
        center = start + np.array(ndimage.center_of_mass(mask))
        x, y, z = image.TransformContinuousIndexToPhysicalPoint(center[::-1].tolist())
        ends = np.array([side.stop for side in box])
        is_whole = bool((start > 0).all() and (ends < labels.shape).all())
        measures[name] = OrganMeasure((x, y, z), int(np.count_nonzero(mask)) * voxel_ml, is_whole)
    return measures
