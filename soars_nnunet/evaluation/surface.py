"""Surface distances between two masks, and what is derived from them.

Axes: masks are bool (Z, Y, X), spacings (Z, Y, X) in mm. Two surfaces of a mask are in use, each as its
authors have it: HD, HD95 and ASD go from surface voxel to surface voxel; surface DSC weighs surface
elements between the voxels by their area, as Nikolov et al. do, from whom the tolerances come. Nearest points are
found in a k-d tree, so neither time nor memory grows with the volume around the organs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial import KDTree

TOLERANCE_SLACK_MM = 1e-5
"""Added to a tolerance: a distance of exactly one voxel must not fail by the rounding of a file's spacing."""

ROBUST_PERCENT = 95.0
"""Percentile of HD95."""


@dataclass(frozen=True)
class MaskScores:
    """How well two masks agree.

    Attributes:
        dsc: Dice coefficient, 0 to 1.
        hd_mm: Maximum symmetric Hausdorff distance, mm.
        hd95_mm: The larger of the 95th percentiles of the distances of either direction, mm.
        asd_mm: Mean distance over all surface voxels of both masks, mm.
        surface_dsc: Share of both surfaces' area within the tolerance of the other; None without a tolerance.
    """

    dsc: float
    hd_mm: float
    hd95_mm: float
    asd_mm: float
    surface_dsc: float | None


def compare_masks(
    prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float], tolerance_mm: float | None = None
) -> MaskScores:
    """All scores of two masks on one grid.

    Args:
        prediction: Bool, (Z, Y, X).
        reference: Bool, (Z, Y, X).
        spacing_mm: Voxel spacing (Z, Y, X), mm.
        tolerance_mm: Distance up to which surfaces count as the same; None leaves surface DSC out.

    Returns:
        The scores. Distances are NaN if either mask is empty; DSC and surface DSC then are 0, or NaN if both are.
    """
    forth, back = surface_distances_mm(prediction, reference, spacing_mm)
    hd_mm = hd95_mm = asd_mm = float("nan")
    if forth.size:
        hd_mm = float(max(forth.max(), back.max()))
        hd95_mm = float(max(np.percentile(forth, ROBUST_PERCENT), np.percentile(back, ROBUST_PERCENT)))
        asd_mm = float(np.concatenate((forth, back)).mean())
    close = None if tolerance_mm is None else surface_dice(prediction, reference, spacing_mm, tolerance_mm)
    return MaskScores(dice(prediction, reference), hd_mm, hd95_mm, asd_mm, close)


def dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Dice coefficient 2 |P and R| / (|P| + |R|).

    Args:
        prediction: Bool, (Z, Y, X).
        reference: Bool, (Z, Y, X).

    Returns:
        0 to 1; NaN if both masks are empty.
    """
    total = np.count_nonzero(prediction) + np.count_nonzero(reference)
    return float(2.0 * np.count_nonzero(prediction & reference) / total) if total else float("nan")


def surface_distances_mm(
    prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each surface voxel to the other mask's nearest surface voxel.

    A surface voxel is a voxel of the mask with a face neighbour outside of it; beyond the array
    counts as outside. Distances are between voxel centres, in float64.

    Args:
        prediction: Bool, (Z, Y, X).
        reference: Bool, (Z, Y, X).
        spacing_mm: Voxel spacing (Z, Y, X), mm.

    Returns:
        Distances (mm) from the prediction's surface to the reference's, and back, both 1D.
        Both are empty if either mask is.
    """
    points_p = surface_voxels(prediction) * np.asarray(spacing_mm, np.float64)
    points_r = surface_voxels(reference) * np.asarray(spacing_mm, np.float64)
    if not (len(points_p) and len(points_r)):
        return np.empty(0), np.empty(0)
    return _nearest_mm(points_p, points_r), _nearest_mm(points_r, points_p)


def surface_dice(
    prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float], tolerance_mm: float
) -> float:
    """Surface DSC at a tolerance (Nikolov et al., J Med Internet Res 2021).

    Args:
        prediction: Bool, (Z, Y, X).
        reference: Bool, (Z, Y, X).
        spacing_mm: Voxel spacing (Z, Y, X), mm.
        tolerance_mm: Largest distance at which a surface element counts as met.

    Returns:
        Area of the elements of both surfaces that lie within the tolerance of the other one, over all their
        area; 0 if one mask is empty, NaN if both are.

    Raises:
        ValueError: If the tolerance is negative or not finite.
    """
    if not (np.isfinite(tolerance_mm) and tolerance_mm >= 0):
        raise ValueError(f"expected a tolerance of 0 mm or more, got {tolerance_mm}; correct the profile")
    corners_p, areas_p = surface_elements(prediction, spacing_mm)
    corners_r, areas_r = surface_elements(reference, spacing_mm)
    total = float(areas_p.sum() + areas_r.sum())
    if not (len(corners_p) and len(corners_r)):
        return 0.0 if total else float("nan")
    limit = tolerance_mm + TOLERANCE_SLACK_MM
    points_p = corners_p * np.asarray(spacing_mm, np.float64)
    points_r = corners_r * np.asarray(spacing_mm, np.float64)
    near_p = np.isfinite(_nearest_mm(points_p, points_r, limit))
    near_r = np.isfinite(_nearest_mm(points_r, points_p, limit))
    return float((areas_p[near_p].sum() + areas_r[near_r].sum()) / total)


def surface_voxels(mask: np.ndarray) -> np.ndarray:
    """Voxels of a mask with a face neighbour outside of it.

    Args:
        mask: Bool, (Z, Y, X).

    Returns:
        Indices (N, 3); empty for an empty mask.
    """
    found = [np.empty((0, 3), np.int64)]
    for start, piece in pieces(mask):
        padded = np.pad(piece, 1)
        inner = piece.copy()
        for axis in range(3):
            for side in (slice(None, -2), slice(2, None)):
                neighbors = [slice(1, -1)] * 3
                neighbors[axis] = side
                inner &= padded[tuple(neighbors)]
        found.append(np.argwhere(piece & ~inner) + start)
    return np.concatenate(found)


def surface_elements(mask: np.ndarray, spacing_mm: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Points between the voxels through which the surface runs, and its area there.

    Args:
        mask: Bool, (Z, Y, X).
        spacing_mm: Voxel spacing (Z, Y, X), mm.

    Returns:
        Indices (N, 3) of the point between voxels i - 1 and i on each axis, and areas (N,) in mm^2 of
        the marching-cubes surface among its 8 neighbours; both empty for an empty mask.
    """
    table = _element_areas_mm2(tuple(float(s) for s in spacing_mm))
    found, areas = [np.empty((0, 3), np.int64)], [np.empty(0)]
    for start, piece in pieces(mask):
        padded = np.pad(piece, 1)
        codes = np.zeros(tuple(size + 1 for size in piece.shape), np.uint8)
        for bit in range(8):
            corner = (bit >> 2 & 1, bit >> 1 & 1, bit & 1)
            view = padded[tuple(slice(c, size - 1 + c) for c, size in zip(corner, padded.shape, strict=True))]
            codes |= view.view(np.uint8) << np.uint8(bit)
        crossed = (codes != 0) & (codes != 255)
        found.append(np.argwhere(crossed) + start)
        areas.append(table[codes[crossed]])
    return np.concatenate(found), np.concatenate(areas)


def pieces(mask: np.ndarray, start: tuple[int, ...] = (0, 0, 0)) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Split a mask into boxes between its empty slices, so that far strays do not drag in all that is between.

    Args:
        mask: Bool, (Z, Y, X).
        start: Index of its first voxel.

    Yields:
        Index of a box's first voxel and a view of the mask there; every voxel is in one of them, and no
        two of them share a face, an edge or a corner. Nothing for an empty mask.
    """
    for axis in range(mask.ndim):
        filled = np.flatnonzero(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))
        if not filled.size:
            return
        runs = np.split(filled, np.flatnonzero(np.diff(filled) > 1) + 1)
        if len(runs) == 1 and filled.size == mask.shape[axis]:
            continue
        for run in runs:
            part = [slice(None)] * mask.ndim
            part[axis] = slice(run[0], run[-1] + 1)
            moved = list(start)
            moved[axis] += int(run[0])
            yield from pieces(mask[tuple(part)], tuple(moved))
        return
    yield start, mask


def _nearest_mm(points_mm: np.ndarray, others_mm: np.ndarray, limit_mm: float = np.inf) -> np.ndarray:
    """Distance (N,) of each point (N, 3) to the nearest of the others (M, 3); inf beyond the limit."""
    return KDTree(others_mm, balanced_tree=False).query(points_mm, distance_upper_bound=limit_mm)[0]


@lru_cache(maxsize=64)
def _element_areas_mm2(spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Area (256,) of the surface among 2 x 2 x 2 voxels, by their code: bit 4 dz + 2 dy + dx.

    Marching cubes with the vertices in the middle of the edges. Where a code and its complement are
    triangulated differently (ambiguous faces) the smaller area holds for both.
    """
    from skimage.measure import marching_cubes, mesh_surface_area

    areas = np.zeros(256)
    for code in range(1, 255):
        cube = (code >> np.arange(8) & 1).reshape(2, 2, 2).astype(np.float32)
        corners, faces, _, _ = marching_cubes(cube, 0.5, spacing=spacing_mm, method="lorensen")
        areas[code] = mesh_surface_area(corners.astype(np.float64), faces)
    return np.minimum(areas, areas[::-1])
