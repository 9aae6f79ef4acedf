"""Where a guided branch's organs can be, seen from the anchors: the rest of the body needs no network.

Learnt from training cases, as the span of the branch's organs relative to each out-of-fold anchor. Positions are
medians, which stray voxels hardly move. Axes are (Z, Y, X).
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
"""An anchor that fewer training cases show whole is not used."""
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


def learn_reach(cases: Iterable[tuple[np.ndarray, np.ndarray, Sequence[float]]]) -> Reach:
    """Span of the organs relative to each anchor over the training cases.

    Args:
        cases: Anchors (A, z, y, x), labels (z, y, x) of the branch's organs (0 and below: none) and spacing in mm.

    Returns:
        By anchor. Empty without cases.
    """
    spans: list[list[np.ndarray]] = []
    for anchors, labels, spacing_mm in cases:
        spans = spans or [[] for _ in anchors]
        drawn = [np.flatnonzero((labels > 0).any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3)]
        if not len(drawn[0]):
            continue
        ends_mm = np.array([[hits[0] for hits in drawn], [hits[-1] for hits in drawn]]) * np.asarray(spacing_mm)
        for span, position in zip(spans, anchor_positions(anchors, spacing_mm), strict=True):
            if np.isfinite(position).all():
                span.append(ends_mm - position)
    return [
        [np.min(span, axis=0)[0].tolist(), np.max(span, axis=0)[1].tolist()] if len(span) >= MIN_CASES else None
        for span in spans
    ]


def reached(anchors: np.ndarray, reach: Reach, spacing_mm: Sequence[float]) -> tuple[slice, slice, slice] | None:
    """Voxels within reach of all certain anchors.

    Args:
        anchors: (A, z, y, x) probabilities.
        reach: As ``learn_reach`` gives it.
        spacing_mm: Voxel size (z, y, x).

    Returns:
        Slices (z, y, x); None, which is everywhere, with too few anchors or where they contradict each other.
    """
    if not reach:
        return None
    low, high, used = np.zeros(3), (np.array(anchors.shape[1:]) - 1) * np.asarray(spacing_mm), 0
    for position, span in zip(anchor_positions(anchors, spacing_mm), reach, strict=True):
        if span is None or not np.isfinite(position).all():
            continue
        low, high = np.maximum(low, position + span[0] - MARGIN_MM), np.minimum(high, position + span[1] + MARGIN_MM)
        used += 1
    if used < MIN_ANCHORS or (high - low < 2 * MARGIN_MM).any():
        return None
    first, last = np.floor(low / spacing_mm).astype(int), np.ceil(high / spacing_mm).astype(int)
    z, y, x = (slice(int(lo), int(hi) + 1) for lo, hi in zip(first, last, strict=True))
    return z, y, x
