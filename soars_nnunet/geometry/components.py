"""Connected components of label volumes, axes (Z, Y, X)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from nnunetv2.postprocessing.remove_connected_components import remove_all_but_largest_component_from_segmentation
from scipy.ndimage import find_objects


def keep_largest_components(labels: np.ndarray, chosen: Iterable[int]) -> np.ndarray:
    """Largest connected component of each chosen label; its other voxels become background.

    nnU-Net's rule and code: voxels that touch at a corner are connected, components of equal size all stay.

    Args:
        labels: (Z, Y, X), integer; not changed.
        chosen: Labels to clean; those without voxels are passed over.

    Returns:
        The cleaned volume, a copy; without chosen labels an unchanged one.
    """
    cleaned = labels.copy()
    boxes = find_objects(labels)
    for label in sorted(set(chosen)):
        if label <= len(boxes) and boxes[label - 1] is not None:
            box = boxes[label - 1]
            # other labels may lie in the box: their voxels pass through
            cleaned[box] = remove_all_but_largest_component_from_segmentation(cleaned[box], label)
    return cleaned
