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
        if len(apart_mm) and abs(median := float(np.median(apart_mm))) >= LEAST_APART_MM:
            sides.append([row, partner, median] if median > 0 else [partner, row, -median])
    return sides


def join_sides(folds: Sequence[Sides]) -> Sides:
    """What several folds agree on: pairs that all of them know in this order, with the smallest of their distances."""
    known = [{(int(upper), int(lower)): mm for upper, lower, mm in sides} for sides in folds]
    if not known:
        return []
    return [[*pair, min(of[pair] for of in known)] for pair in known[0] if all(pair in of for of in known)]


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
    columns = torch.arange(heatmaps.shape[-1])
    for upper, lower, apart_mm in sides if heatmaps.numel() else ():
        rows, least = [int(upper), int(lower)], LEAST_SHARE * apart_mm / spacing_x_mm
        profiles = [heatmaps[row].amax((0, 1)).cpu().double() for row in rows]
        ends = _kept(*profiles, least)
        for row, kept in zip(rows, (columns >= ends[0], columns <= ends[1]), strict=True):
            separated[row] *= kept.to(heatmaps.device)
    return separated


def _kept(upper: torch.Tensor, lower: torch.Tensor, least: float) -> tuple[float, float]:
    """First column of the map at larger X, and last of the other, that are kept, from the maps' profiles (x,)."""
    columns = torch.arange(len(upper))
    high = [profile >= LEAST_HEIGHT * profile.max() for profile in (upper, lower)]
    fits = (columns[:, None] - columns[None] >= least) & high[0][:, None] & high[1][None]
    if fits.any():
        heights = torch.where(fits, upper[:, None] + lower[None], -torch.inf)
        pairs = (heights == heights.max()).nonzero()  # many where maps are cut at 1
        middle = float(pairs.double().mean())
        return middle, middle
    first, last = float(columns[0]), float(columns[-1])
    places = [float((profile == profile.max()).nonzero().double().mean()) for profile in (upper, lower)]
    if upper.max() > lower.max():
        last = places[0] - least
    elif lower.max() > upper.max():
        first = places[1] + least
    return first, last
