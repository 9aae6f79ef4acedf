"""Where the patient is in a CT, coarsely: what lies outside needs no network. Axes are (Z, Y, X)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from scipy import ndimage

BODY_HU = -300.0
"""Above air and the lungs' parenchyma, below fat."""
MARGIN_MM = 10.0
"""Kept around the body on all sides."""
MIN_BODY_MM3 = 1e6
"""Smaller than a litre is no head and neck: then nothing is left out."""


def body_hull(ct_hu: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Axial rectangles around the bodies of a CT, all connected parts of a litre or more.

    Rectangles hold the airways, whether they are open to the outside or not.

    Args:
        ct_hu: (Z, Y, X), HU.
        spacing_mm: Voxel size (Z, Y, X).

    Returns:
        (Z, Y, X) bool; true everywhere if there is less than a litre of body, or no voxel.
    """
    hull = np.zeros(np.shape(ct_hu), bool)
    parts, count = ndimage.label(np.asarray(ct_hu) > BODY_HU)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)[1:]
    if not count or sizes.max() * np.prod(spacing_mm) < MIN_BODY_MM3:
        return ~hull
    # padding around a round field of view can be larger than the patient
    body = np.isin(parts, 1 + np.flatnonzero(sizes * np.prod(spacing_mm) >= MIN_BODY_MM3))
    margins = [int(np.ceil(MARGIN_MM / mm)) for mm in spacing_mm]
    for z in np.flatnonzero(body.any(axis=(1, 2))):
        rows = np.flatnonzero(body[z].any(axis=1))
        columns = np.flatnonzero(body[z].any(axis=0))
        near_z = _grown(int(z), int(z), margins[0])
        near_y = _grown(int(rows[0]), int(rows[-1]), margins[1])
        near_x = _grown(int(columns[0]), int(columns[-1]), margins[2])
        hull[near_z, near_y, near_x] = True
    return hull


def _grown(first: int, last: int, margin: int) -> slice:
    """Voxels from the first to the last one and a margin on both sides."""
    return slice(max(0, first - margin), last + margin + 1)


def grown_box(mask: torch.Tensor, least: Sequence[int]) -> tuple[slice, ...] | None:
    """Box of a mask, grown by its surroundings where it is too small.

    It grows alike on both sides, unless the volume ends there, so that a mirrored mask gives the mirrored box.

    Args:
        mask: (Z, Y, X) bool.
        least: Width (Z, Y, X) to reach if the volume is as wide; one less where an odd number of voxels is missing.

    Returns:
        Slices (Z, Y, X); None without a voxel.
    """
    if not mask.any():
        return None
    z, y, x = (_grown_range(mask, axis, least[axis]) for axis in range(3))
    return z, y, x


def _grown_range(mask: torch.Tensor, axis: int, least: int) -> slice:
    """A mask's voxels along an axis, grown alike on both sides to ``least`` as far as the volume goes."""
    others = [other for other in range(3) if other != axis]
    hits = mask.any(dim=others[1]).any(dim=others[0]).nonzero()
    low, high = int(hits[0]), int(hits[-1]) + 1
    grow = max(0, least - (high - low)) // 2
    low, high = low - grow, high + grow
    beyond_end = max(0, high - mask.shape[axis])
    beyond_start = max(0, -low)
    return slice(max(0, low - beyond_end), min(mask.shape[axis], high + beyond_start))
