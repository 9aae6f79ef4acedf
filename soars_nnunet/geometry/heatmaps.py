"""Detection: Gaussian targets and the peaks of predicted heat maps.

Axes: B cases, T detection targets, 3 coordinates in the order (Z, Y, X), then (Z, Y, X).
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage


def gaussian_heatmaps(coordinates_mm: torch.Tensor, centers_mm: torch.Tensor, sigma_mm: float) -> torch.Tensor:
    """``exp(-|x - c|^2 / (2 sigma^2))`` of every target.

    Args:
        coordinates_mm: (B, 3, Z, Y, X) position of every voxel, in mm.
        centers_mm: (B, T, 3) centre of every target in the same frame, in mm; may lie outside the
            volume; a row with a NaN is an absent target.
        sigma_mm: Standard deviation in mm.

    Returns:
        (B, T, Z, Y, X) in [0, 1], dtype and device of ``coordinates_mm``; zeros for absent targets.

    Raises:
        ValueError: If the shapes do not fit or sigma is not positive.
    """
    if coordinates_mm.ndim != 5 or coordinates_mm.shape[1] != 3:
        raise ValueError(f"expected coordinates (B, 3, Z, Y, X), got {tuple(coordinates_mm.shape)}")
    if centers_mm.ndim != 3 or centers_mm.shape[::2] != (len(coordinates_mm), 3):
        raise ValueError(f"expected centres ({len(coordinates_mm)}, T, 3), got {tuple(centers_mm.shape)}")
    if not sigma_mm > 0:
        raise ValueError(f"expected a positive sigma in mm, got {sigma_mm}")
    centers = centers_mm.to(coordinates_mm)
    present = torch.isfinite(centers).all(dim=-1)
    centers = torch.where(present[..., None], centers, torch.zeros_like(centers))
    batch, targets = present.shape
    heatmaps = coordinates_mm.new_empty((batch, targets, *coordinates_mm.shape[2:]))
    for target in range(targets):
        squared = (coordinates_mm - centers[:, target, :, None, None, None]).square_().sum(dim=1)
        heatmaps[:, target] = squared.mul_(-0.5 / sigma_mm**2).exp_()
    return heatmaps * present[:, :, None, None, None]


def heatmap_peaks(heatmaps: torch.Tensor | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Peak of every predicted heat map.

    The paper takes the highest voxel of the raw map. Ours goes on to the centroid of the 3 x 3 x 3
    voxels around it (fewer at the border), weighted by the map's height over their lowest; this
    needs no voxel size. Of equally high voxels, as where maps are cut off at 1, the most that touch
    each other count together: the centroid is that of their bounding box and one voxel around, so that a
    mirrored map has the mirrored peak (of equally many, the first ones). A flat box gives its middle.

    Args:
        heatmaps: (T, Z, Y, X), any real values.

    Returns:
        Positions (T, 3) float64 in continuous voxel coordinates (Z, Y, X) of the map's grid, and
        heights (T,) float64 of the highest voxels. Both are empty without targets.

    Raises:
        ValueError: If the shape is wrong, a map has no voxels or holds a NaN.
    """
    maps = torch.as_tensor(heatmaps).detach()
    if maps.ndim != 4 or 0 in maps.shape[1:]:
        raise ValueError(f"expected heat maps (T, Z, Y, X) with voxels, got {tuple(maps.shape)}")
    positions, heights = np.zeros((len(maps), 3)), np.zeros(len(maps))
    for row, heatmap in enumerate(maps):
        highest = heatmap.max()
        heights[row] = float(highest)
        if np.isfinite(heights[row]) and highest == heatmap.min():  # nothing found anywhere: millions of equal voxels
            positions[row] = (np.array(heatmap.shape) - 1) / 2
            continue
        at_peak = heatmap.isnan() if highest.isnan() else heatmap == highest
        there = at_peak.nonzero().cpu().numpy()
        if not np.isfinite(heights[row]):
            raise ValueError(f"heat map {row}: expected finite values, got {heights[row]} at voxel {there[0].tolist()}")
        first, last = _largest_group(there)
        first = np.maximum(first - 1, 0)
        window = tuple(map(slice, first.tolist(), (last + 2).tolist()))
        positions[row] = first + _centroid(heatmap[window].cpu().double().numpy())
    return positions, heights


def _largest_group(voxels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last corner (3,) of the most of (N, 3) voxels that touch each other, be it at a corner.

    Of equal groups it is the first one.
    """
    low = voxels.min(axis=0)
    mask = np.zeros(voxels.max(axis=0) - low + 1, bool)
    mask[tuple((voxels - low).T)] = True
    groups, count = ndimage.label(mask, np.ones((3, 3, 3)))
    largest = int(np.argmax(np.bincount(groups.ravel(), minlength=count + 1)[1:]))
    z, y, x = ndimage.find_objects(groups)[largest]
    first = low + (z.start, y.start, x.start)
    last = low + (z.stop - 1, y.stop - 1, x.stop - 1)
    return first, last


def _centroid(values: np.ndarray) -> np.ndarray:
    """Centroid (3,) of a window in its own voxels, weighted by height over the lowest; its middle where it is flat."""
    weights = values - values.min()
    if not weights.any():
        return (np.array(values.shape) - 1) / 2
    return np.array(ndimage.center_of_mass(weights))
