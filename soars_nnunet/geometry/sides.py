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
LEAST_HEIGHT = 0.7
"""A peak on its own side counts if it has at least this share of the map's height anywhere, ours."""
LEAST_APART_MM = 40.0
"""Pairs that are nearer are left alone: their heat maps overlap, ours."""

Sides = list[list[float]]
"""By pair of targets: row of the one at larger X, row of the other, median distance along X in mm."""


def learn_sides(centers_mm: np.ndarray, partners: Sequence[int]) -> Sides:
    """How far apart paired targets lie in training cases.

    Args:
        centers_mm: (cases, T, 3); NaN where a target has no voxel.
        partners: Target on the other side of each; itself on the midline.

    Returns:
        A row for each pair that some case has both targets of, unless they are too near each other. A case with swapped
        contours among many does not matter.
    """
    sides: Sides = []
    for row, partner in enumerate(partners):
        if row >= partner:
            continue
        apart_mm = centers_mm[:, row, 2] - centers_mm[:, partner, 2]
        apart_mm = apart_mm[np.isfinite(apart_mm)]
        if not len(apart_mm):
            continue
        median_mm = float(np.median(apart_mm))
        if median_mm >= LEAST_APART_MM:
            sides.append([row, partner, median_mm])
        elif -median_mm >= LEAST_APART_MM:
            sides.append([partner, row, -median_mm])
    return sides


def join_sides(folds: Sequence[Sides]) -> Sides:
    """What several folds agree on: pairs that all of them know in this order, with the smallest of their distances."""
    known = [_distances_mm(sides) for sides in folds]
    if not known:
        return []
    joined: Sides = []
    for upper, lower in known[0]:
        distances_mm = [fold.get((upper, lower)) for fold in known]
        agreed_mm = [mm for mm in distances_mm if mm is not None]
        if len(agreed_mm) == len(folds):
            joined.append([upper, lower, min(agreed_mm)])
    return joined


def _distances_mm(sides: Sides) -> dict[tuple[int, int], float]:
    """Median distance by pair of targets."""
    distances_mm = {}
    for upper, lower, mm in sides:
        distances_mm[int(upper), int(lower)] = mm
    return distances_mm


def separate_sides(heatmaps: torch.Tensor, sides: Sides, spacing_x_mm: float) -> torch.Tensor:
    """Tell the maps of each pair apart by where they lie.

    Of all positions that are far enough apart, in the right order and nearly as high as the maps anywhere, the two
    highest in sum are the pair's peaks, and each map is cut midway between them. If there are none, one target is taken
    to be outside the scan: the one whose map is lower, which then is cut where its partner would be too near.

    Args:
        heatmaps: (T, z, y, x), 0 or more.
        sides: Pairs of targets.
        spacing_x_mm: Voxel size along X.

    Returns:
        (T, z, y, x): 0 where a map is cut. Those of single targets stay as they are, as do two maps that are equally
        high and in each other's way. A mirrored input gives the mirrored result.
    """
    separated = heatmaps.clone()
    if not heatmaps.numel():
        return separated
    columns = torch.arange(heatmaps.shape[-1])
    for pair_upper, pair_lower, apart_mm in sides:
        upper, lower = int(pair_upper), int(pair_lower)
        first, last = _kept(
            _profile(heatmaps[upper]),
            _profile(heatmaps[lower]),
            least=LEAST_SHARE * apart_mm / spacing_x_mm,
        )
        separated[upper] *= (columns >= first).to(heatmaps.device)
        separated[lower] *= (columns <= last).to(heatmaps.device)
    return separated


def _profile(heatmap: torch.Tensor) -> torch.Tensor:
    """Highest value of a map (z, y, x) at each column, on the CPU."""
    return heatmap.amax((0, 1)).cpu().double()


def _kept(upper: torch.Tensor, lower: torch.Tensor, least: float) -> tuple[float, float]:
    """First column of the map at larger X, and last of the other, that are kept, from the maps' profiles (x,)."""
    columns = torch.arange(len(upper))
    upper_high = upper >= LEAST_HEIGHT * upper.max()
    lower_high = lower >= LEAST_HEIGHT * lower.max()
    far_enough = columns[:, None] - columns[None] >= least
    fits = far_enough & upper_high[:, None] & lower_high[None]
    if fits.any():
        heights = torch.where(fits, upper[:, None] + lower[None], -torch.inf)
        pairs = (heights == heights.max()).nonzero()  # many where maps are cut at 1
        middle = float(pairs.double().mean())
        return middle, middle
    first, last = float(columns[0]), float(columns[-1])
    if upper.max() > lower.max():
        last = _peak(upper) - least
    elif lower.max() > upper.max():
        first = _peak(lower) + least
    return first, last


def _peak(profile: torch.Tensor) -> float:
    """Column of a profile's highest value, the mean one of equally high ones."""
    return float((profile == profile.max()).nonzero().double().mean())
