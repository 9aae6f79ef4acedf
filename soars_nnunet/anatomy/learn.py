"""Learning where organs lie to each other, and how large they are, from the contours of many cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from soars_nnunet.anatomy.facts import VOLUME_PERCENTILES, AnatomyFacts, OrganFacts, Position
from soars_nnunet.anatomy.measures import OrganMeasure

UP, BACK = 2, 1
"""Index of the axes in LPS coordinates (x, y, z)."""

ROUNDS = 20
"""Of aligning cases and averaging organs in turn; positions then stand still to 0.1 mm, ours."""

DEVIATION_OF_MAD = 1.4826
"""Standard deviation of a normal distribution whose median absolute deviation is 1."""


def learn_anatomy(cases: Sequence[Mapping[str, OrganMeasure]]) -> AnatomyFacts:
    """Positions and volumes of organs over cases.

    Cases are shifted onto each other, for their origins are of no meaning; medians pass over a minority of wrong ones.

    Args:
        cases: What is measured of each, by organ.

    Returns:
        Of every organ that some case has, in the order of first appearance.
    """
    names = list(dict.fromkeys(name for case in cases for name in case))
    if not names:
        return AnatomyFacts()
    centers_mm = np.full((len(cases), len(names), 3), np.nan)
    volumes_ml: dict[str, list[float]] = {name: [] for name in names}
    for row, case in enumerate(cases):
        for name, measure in case.items():
            centers_mm[row, names.index(name)] = measure.center_mm
            if measure.is_whole:
                volumes_ml[name].append(measure.volume_ml)
    up, back = _positions(centers_mm[..., UP]), _positions(centers_mm[..., BACK])
    counts = np.isfinite(centers_mm[..., 0]).sum(0)
    organs = {}
    for index, name in enumerate(names):
        organs[name] = OrganFacts(
            cases=int(counts[index]),
            up=up[index],
            back=back[index],
            volume_ml=_percentiles(volumes_ml[name]),
        )
    return AnatomyFacts(organs)


def _positions(centers_mm: np.ndarray) -> list[Position]:
    """Position of each organ along one axis, out of centres (cases, organs) with NaN where a case lacks one."""
    has_organ = np.isfinite(centers_mm).any(1)
    centers_mm = centers_mm[has_organ]
    positions = np.nanmedian(centers_mm - np.nanmean(centers_mm, 1, keepdims=True), 0)
    rest = centers_mm
    for _ in range(ROUNDS):
        shifts = np.nanmedian(centers_mm - positions, 1, keepdims=True)
        rest = centers_mm - shifts
        positions = np.nanmedian(rest, 0)
    spreads = DEVIATION_OF_MAD * np.nanmedian(np.abs(rest - positions), 0)
    return [
        Position(round(float(mm), 1), round(float(spread), 1)) for mm, spread in zip(positions, spreads, strict=True)
    ]


def _percentiles(volumes_ml: Sequence[float]) -> tuple[float, ...]:
    if not volumes_ml:
        return ()
    return tuple(round(float(ml), 3) for ml in np.percentile(volumes_ml, VOLUME_PERCENTILES))
