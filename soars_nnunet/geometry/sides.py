"""Which heat map's peak is the left one: targets of both sides look alike, and only their places tell them apart.

A detection network that sees mirror-image surroundings answers to both targets of a pair at either place. In nnU-Net's
frame, though, left and right are known, so that a pair's maps are read together. Ours; the paper takes each map's
highest voxel. Axes are (Z, Y, X).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

LEAST_SHARE = 0.5
"""Two peaks must be apart at least this share of the training cases' median, ours."""

Sides = list[list[float]]
"""By pair of targets: row of the one at larger X, row of the other, median distance along X in mm."""


def learn_sides(centers_mm: np.ndarray, partners: Sequence[int]) -> Sides:
    """How far apart paired targets lie in training cases.

    Args:
        centers_mm: (cases, T, 3); NaN where a target is absent or not drawn.
        partners: Target on the other side of each; itself on the midline.

    Returns:
        A row for each pair that some case has both targets of. A case with swapped contours among many does not matter.
    """
    sides: Sides = []
    for row, partner in enumerate(partners):
        if row >= partner:
            continue
        apart_mm = centers_mm[:, row, 2] - centers_mm[:, partner, 2]
        apart_mm = apart_mm[np.isfinite(apart_mm)]
        if len(apart_mm) and (median := float(np.median(apart_mm))):
            sides.append([row, partner, median] if median > 0 else [partner, row, -median])
    return sides


def join_sides(folds: Sequence[Sides]) -> Sides:
    """What several folds agree on: pairs that all of them know in this order, with the smallest of their distances."""
    known = [{(int(upper), int(lower)): mm for upper, lower, mm in sides} for sides in folds]
    if not known:
        return []
    return [[*pair, min(of[pair] for of in known)] for pair in known[0] if all(pair in of for of in known)]


def separate_sides(heatmaps: torch.Tensor, sides: Sides, spacing_x_mm: float) -> torch.Tensor:
    """Cut the maps of each pair midway between the pair's peaks.

    The two peaks are the highest in sum of those that lie as far apart as the pair must, on their own sides. So a
    target outside the scan does not take its partner's place, as long as it is the lower one there.

    Args:
        heatmaps: (T, z, y, x), 0 or more.
        sides: Pairs of targets.
        spacing_x_mm: Voxel size along X.

    Returns:
        (T, z, y, x): 0 beyond the middle. Maps of pairs that fit in no place of so narrow a volume stay as they are, as
        do those of single targets. A mirrored input gives the mirrored result.
    """
    separated = heatmaps.clone()
    columns = torch.arange(heatmaps.shape[-1], device=heatmaps.device)
    for upper, lower, apart_mm in sides:
        rows = [int(upper), int(lower)]
        middle = _middle(*(heatmaps[row].amax((0, 1)) for row in rows), LEAST_SHARE * apart_mm / spacing_x_mm)
        if middle is not None:
            separated[rows[0]] *= columns >= middle
            separated[rows[1]] *= columns <= middle
    return separated


def _middle(upper: torch.Tensor, lower: torch.Tensor, least: float) -> float | None:
    """Middle between the best positions of two profiles (x,), the first's beyond the second's by ``least`` at least."""
    columns = torch.arange(len(upper), device=upper.device)
    apart = columns[:, None] - columns[None]
    heights = torch.where(apart >= least, upper[:, None] + lower[None], -torch.inf)
    if not heights.numel() or heights.max() == -torch.inf:
        return None
    best = torch.where(heights == heights.max(), apart, -1)  # of equal ones, as where maps are cut at 1, the farthest
    pairs = (best == best.max()).nonzero().double()
    return float(pairs.mean())
