"""Where a guided branch's organs can be, seen from the anchors: the rest of the body needs no network.

Learnt from training cases, as the span of the branch's organs relative to each out-of-fold anchor. Positions are
medians, which stray voxels hardly move. An organ that the scan's border cuts leaves its side open, and an anchor counts
only if enough cases show it together with each organ. Axes are (Z, Y, X).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

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


def anchor_positions(anchors: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Median position of every anchor that is there for certain.

    Args:
        anchors: (A, z, y, x) probabilities.
        spacing_mm: Voxel size (z, y, x).

    Returns:
        (A, 3) mm from the centre of voxel (0, 0, 0); NaN for an anchor that is too small, or that touches the
        border, as one cut by the field of view does.
    """
    positions = np.full((len(anchors), 3), np.nan)
    for row, probability in enumerate(anchors):
        mask = probability > MIN_PROBABILITY
        profiles = [mask.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3)]
        count = int(profiles[0].sum())
        cut = any(profile[0] or profile[-1] for profile in profiles if len(profile))
        if count * np.prod(spacing_mm) >= MIN_ANCHOR_MM3 and not cut:
            middle = [np.searchsorted(np.cumsum(profile), count / 2) for profile in profiles]
            positions[row] = np.asarray(middle) * np.asarray(spacing_mm)
    return positions


def learn_reach(cases: Iterable[tuple[np.ndarray, np.ndarray, Sequence[float]]], num_organs: int) -> Reach:
    """Span of the organs relative to each anchor over the training cases.

    Args:
        cases: Anchors (A, z, y, x), labels (z, y, x) with the branch's organs 1 to ``num_organs``, spacing in mm.
        num_organs: Classes of the branch without background.

    Returns:
        By anchor; None where fewer than ``MIN_CASES`` cases show it whole together with some organ. Empty without
        cases.
    """
    spans: list[list[list[np.ndarray]]] = []
    for anchors, labels, spacing_mm in cases:
        spans = spans or [[[] for _ in range(num_organs)] for _ in anchors]
        positions = anchor_positions(anchors, spacing_mm)
        for organ in range(num_organs):
            ends_mm = _ends_mm(labels == organ + 1, spacing_mm)
            for span, position in zip(spans, positions, strict=True):
                if ends_mm is not None and np.isfinite(position).all():
                    span[organ].append(ends_mm - position)
    return [
        [np.min(np.concatenate(span), axis=0)[0].tolist(), np.max(np.concatenate(span), axis=0)[1].tolist()]
        if span and min(map(len, span)) >= MIN_CASES
        else None
        for span in spans
    ]


def _ends_mm(mask: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray | None:
    """First and last voxel (2, 3), far away where they touch the border; None without a voxel."""
    ends = np.zeros((2, 3))
    for axis in range(3):
        hits = np.flatnonzero(mask.any(axis=tuple({0, 1, 2} - {axis})))
        if not len(hits):
            return None
        first, last = hits[0] * spacing_mm[axis], hits[-1] * spacing_mm[axis]
        ends[:, axis] = -FAR_MM if hits[0] == 0 else first, FAR_MM if hits[-1] == mask.shape[axis] - 1 else last
    return ends


def reached(anchors: np.ndarray, reach: Reach, spacing_mm: Sequence[float]) -> tuple[slice, slice, slice] | None:
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
    known = [
        position + np.asarray(span)
        for position, span in zip(anchor_positions(anchors, spacing_mm), reach, strict=True)
        if span is not None and np.isfinite(position).all()
    ]
    if len(known) < MIN_ANCHORS:
        return None
    ends_mm = np.sort(known, axis=0)
    low, high = ends_mm[-2, 0] - MARGIN_MM, ends_mm[1, 1] + MARGIN_MM
    shape = np.array(anchors.shape[1:])
    first = np.clip(np.floor(low / spacing_mm), 0, shape).astype(int)
    last = np.clip(np.ceil(high / spacing_mm), -1, shape - 1).astype(int)
    if ((last - first) * spacing_mm < 2 * MARGIN_MM).any():
        return None
    z, y, x = (slice(int(lo), int(hi) + 1) for lo, hi in zip(first, last, strict=True))
    return z, y, x
