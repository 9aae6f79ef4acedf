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
        spans = [(z, z), *((hits[0], hits[-1]) for hits in (np.flatnonzero(body[z].any(axis=axis)) for axis in (1, 0)))]
        hull[tuple(slice(max(0, lo - m), hi + m + 1) for (lo, hi), m in zip(spans, margins, strict=True))] = True
    return hull


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
    box = []
    for axis, (width, wish) in enumerate(zip(mask.shape, least, strict=True)):
        hits = mask.any(dim=(axis + 1) % 3, keepdim=True).any(dim=(axis + 2) % 3, keepdim=True).flatten().nonzero()
        low, high = int(hits[0]), int(hits[-1]) + 1
        grow = max(0, wish - (high - low)) // 2
        low, high = low - grow, high + grow
        low, high = max(0, low - max(0, high - width)), min(width, high + max(0, -low))
        box.append(slice(low, high))
    return tuple(box)
