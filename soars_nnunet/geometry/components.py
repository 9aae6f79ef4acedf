"""Largest parts of organs in label volumes, axes (Z, Y, X)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from scipy.ndimage import find_objects, label
from scipy.spatial import cKDTree

MAX_GAP_MM = 10.0
"""Longest gap within one organ. A network loses thin organs (spinal cord, esophagus) for a few slices where
contrast is poor; what it takes for them elsewhere, in shoulders or couch, is farther away."""


def keep_largest_parts(
    labels: np.ndarray, chosen: Iterable[int], spacing_mm: Sequence[float], max_gap_mm: float = MAX_GAP_MM
) -> np.ndarray:
    """Largest connected component of each chosen label, and the components that short gaps separate from it.

    Voxels that touch at a corner are connected; components of the largest size all stay. A component also stays if
    one of its voxels lies within ``max_gap_mm`` of a voxel that stays, by chains too. All others become background.

    Args:
        labels: (Z, Y, X), integer; not changed.
        chosen: Labels to clean; those without voxels are passed over.
        spacing_mm: (Z, Y, X).
        max_gap_mm: Distance between voxel centres; 0 keeps the largest component alone, as nnU-Net does.

    Returns:
        The cleaned volume, a copy; without chosen labels an unchanged one.
    """
    cleaned = labels.copy()
    boxes = find_objects(labels)
    for value in sorted(set(chosen)):
        if value <= len(boxes) and boxes[value - 1] is not None:
            part = cleaned[boxes[value - 1]]  # other labels may lie in the box: their voxels pass through
            components, count = label(part == value, np.ones((3, 3, 3)))
            if count > 1:
                part[(components > 0) & ~_kept(components, spacing_mm, max_gap_mm)[components]] = 0
    return cleaned


def _kept(components: np.ndarray, spacing_mm: Sequence[float], max_gap_mm: float) -> np.ndarray:
    """Which components (Z, Y, X; numbered from 1, 0 is background) stay: bool by number."""
    sizes = np.bincount(components.ravel())
    sizes[0] = 0
    kept = sizes == sizes.max()
    voxels = np.argwhere(components)
    owner, points = components[tuple(voxels.T)], voxels * np.asarray(spacing_mm, float)
    newest = kept
    while max_gap_mm > 0 and newest.any() and not kept[owner].all():
        rest = ~kept[owner]
        distances, _ = cKDTree(points[newest[owner]]).query(points[rest], distance_upper_bound=max_gap_mm * (1 + 1e-9))
        newest = np.zeros_like(kept)
        newest[owner[rest][np.isfinite(distances)]] = True
        kept = kept | newest
    return kept
