"""Where a guided branch's organs can be, seen from the anchors: the rest of the body needs no network.

Learnt from training cases, as the span of the branch's organs relative to each out-of-fold anchor. Positions are
medians, which stray voxels hardly move. An organ that the scan's border cuts leaves its side open, and an anchor counts
only if enough cases show it together with each organ. Axes are (Z, Y, X).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

MIN_PROBABILITY = 0.5
"""A voxel belongs to an anchor above this."""
MIN_ANCHOR_MM3 = 300.0
"""A smaller anchor says nothing."""
MIN_ANCHORS = 3
"""With fewer anchors the organs may be anywhere."""
MIN_CASES = 4
"""An anchor that fewer training cases show whole, together with each organ, is not used."""
FAR_MM = 1e4
"""Farther than any scan reaches: a side that is open."""
MARGIN_MM = 25.0
"""Added on all sides of the span seen in training."""

Reach = list[list[list[float]] | None]
"""By anchor: lowest and highest organ voxel, mm (Z, Y, X) from the anchor's median; None where it is not used."""


def anchor_positions(anchors: np.ndarray | torch.Tensor, spacing_mm: Sequence[float]) -> np.ndarray:
    """Median position of every anchor that is there for certain.

    Args:
        anchors: (A, z, y, x) probabilities.
        spacing_mm: Voxel size (z, y, x).

    Returns:
        (A, 3) mm from the centre of voxel (0, 0, 0); NaN for an anchor that is too small, or that touches the
        border, as one cut by the field of view does.
    """
    positions = np.full((len(anchors), 3), np.nan)
    for row, probability in enumerate(torch.as_tensor(anchors)):
        profiles = _profiles(probability > MIN_PROBABILITY)
        volume_mm3 = int(profiles[0].sum()) * np.prod(spacing_mm)
        if volume_mm3 < MIN_ANCHOR_MM3 or any(_touches_border(profile) for profile in profiles):
            continue
        middle = [_median(profile) for profile in profiles]
        positions[row] = np.asarray(middle) * np.asarray(spacing_mm)
    return positions


def _profiles(mask: torch.Tensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Voxels of a mask (z, y, x) at each position along Z, Y and X."""
    along_x = mask.sum(2)
    along_z_and_y = mask.sum((0, 1))
    return along_x.sum(1).cpu().numpy(), along_x.sum(0).cpu().numpy(), along_z_and_y.cpu().numpy()


def _touches_border(profile: np.ndarray) -> bool:
    return len(profile) > 0 and bool(profile[0] or profile[-1])


def _median(profile: np.ndarray) -> float:
    """Median position of the voxels that a profile counts; between two positions if half lie on either side."""
    below = np.cumsum(profile)
    half = below[-1] / 2
    first = np.searchsorted(below, half, "left")
    last = np.searchsorted(below, half, "right")
    return (first + last) / 2


def organ_spans(anchors: np.ndarray, labels: np.ndarray, spacing_mm: Sequence[float], num_organs: int) -> np.ndarray:
    """Where a case's organs lie relative to its anchors.

    Args:
        anchors: (A, z, y, x) probabilities.
        labels: (z, y, x), the branch's organs are 1 to ``num_organs``.
        spacing_mm: Voxel size (z, y, x).
        num_organs: Classes of the branch without background.

    Returns:
        (A, organs, 2, 3): lowest and highest voxel, mm (Z, Y, X) from the anchor's median; NaN where the anchor is
        uncertain or the organ has no voxel.
    """
    ends_mm = np.full((num_organs, 2, 3), np.nan)
    for organ in range(num_organs):
        found = _ends_mm(labels == organ + 1, spacing_mm)
        if found is not None:
            ends_mm[organ] = found
    return ends_mm[None] - anchor_positions(anchors, spacing_mm)[:, None, None]


def spans_of_both_sides(spans: np.ndarray, anchors: Sequence[int], organs: Sequence[int]) -> np.ndarray:
    """Spans that hold those of the patient and of the mirrored patient, as far as they are known.

    Args:
        spans: (A, organs, 2, 3) of ``organ_spans``.
        anchors: Index of each anchor's partner on the other side; its own where it has none.
        organs: The same of the organs.

    Returns:
        (A, organs, 2, 3); NaN where neither side is known.
    """
    mirrored = spans[list(anchors)][:, list(organs)]
    mirrored[..., 2] = -mirrored[..., ::-1, 2]
    low = np.fmin(spans[:, :, 0], mirrored[:, :, 0])
    high = np.fmax(spans[:, :, 1], mirrored[:, :, 1])
    return np.stack((low, high), axis=2)


def learn_reach(cases: Sequence[np.ndarray]) -> Reach:
    """Span of the organs relative to each anchor over training cases.

    Args:
        cases: ``organ_spans`` of each.

    Returns:
        By anchor; None where fewer than ``MIN_CASES`` cases show it whole together with some organ. Empty without
        cases.
    """
    if not len(cases):
        return []
    reach: Reach = []
    for spans in np.stack(cases, axis=1):  # (cases, organs, 2, 3) of an anchor
        seen = np.isfinite(spans).all(axis=(2, 3)).sum(axis=0)
        if not len(seen) or seen.min() < MIN_CASES:
            reach.append(None)
            continue
        low = np.nanmin(spans[:, :, 0], axis=(0, 1))
        high = np.nanmax(spans[:, :, 1], axis=(0, 1))
        reach.append([low.tolist(), high.tolist()])
    return reach


def join_reaches(reaches: Sequence[Reach]) -> Reach:
    """Reach of several folds together: as far as any of them saw; an anchor that one of them lacks is not used.

    Args:
        reaches: Of the folds; each with as many anchors, or empty where nothing is known.

    Returns:
        By anchor; empty if there is no fold, or one of which nothing is known.
    """
    if not reaches or not all(reaches):
        return []
    joined: Reach = []
    for spans in zip(*reaches, strict=True):
        known = [span for span in spans if span is not None]
        if len(known) < len(spans):
            joined.append(None)
        else:
            joined.append([np.min(known, axis=0)[0].tolist(), np.max(known, axis=0)[1].tolist()])
    return joined


def _ends_mm(mask: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray | None:
    """First and last voxel (2, 3), far away where they touch the border; None without a voxel."""
    ends = np.zeros((2, 3))
    for axis in range(3):
        hits = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        if not len(hits):
            return None
        cut_below = hits[0] == 0
        cut_above = hits[-1] == mask.shape[axis] - 1
        ends[0, axis] = -FAR_MM if cut_below else hits[0] * spacing_mm[axis]
        ends[1, axis] = FAR_MM if cut_above else hits[-1] * spacing_mm[axis]
    return ends


def reached(
    anchors: np.ndarray | torch.Tensor, reach: Reach, spacing_mm: Sequence[float]
) -> tuple[slice, slice, slice] | None:
    """Voxels within reach of all certain anchors but one: a single misplaced one decides nothing.

    Args:
        anchors: (A, z, y, x) probabilities.
        reach: As ``learn_reach`` gives it.
        spacing_mm: Voxel size (z, y, x).

    Returns:
        Slices (z, y, x); None, which is everywhere, with too few anchors or where they contradict each other.
    """
    if not reach:
        return None
    known = []
    for position, span in zip(anchor_positions(anchors, spacing_mm), reach, strict=True):
        if span is not None and np.isfinite(position).all():
            known.append(position + np.asarray(span))
    if len(known) < MIN_ANCHORS:
        return None
    ends_mm = np.sort(known, axis=0)
    low = ends_mm[-2, 0] - MARGIN_MM
    high = ends_mm[1, 1] + MARGIN_MM
    shape = np.array(anchors.shape[1:])
    first = np.clip(np.floor(low / spacing_mm), 0, shape).astype(int)
    last = np.clip(np.ceil(high / spacing_mm), -1, shape - 1).astype(int)
    if ((last - first) * spacing_mm < 2 * MARGIN_MM).any():
        return None
    z_lo, y_lo, x_lo = first.tolist()
    z_hi, y_hi, x_hi = (last + 1).tolist()
    return slice(z_lo, z_hi), slice(y_lo, y_hi), slice(x_lo, x_hi)
