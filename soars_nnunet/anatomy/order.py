"""Organs of a case that lie to each other against anatomy: upside down, or back to front.

Only organs far apart are compared, so that no patient's posture, no surgery and no cut contour matters: of the 203
patients of OpenKBP and 20 of the public DeepMind set, no such pair is nearer than 4 mm to being reversed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from soars_nnunet.anatomy.facts import AnatomyFacts, Position
from soars_nnunet.anatomy.learn import BACK, UP
from soars_nnunet.anatomy.measures import OrganMeasure
from soars_nnunet.anatomy.table import known_anatomy
from soars_nnunet.errors import InputError

LEAST_REVERSED_MM = 10.0
"""By so much a pair must lie the wrong way round, ours."""

TURNED_SHARE = 0.7
"""Of the compared pairs: from here on the whole map is turned, below single organs lie oddly; ours."""

TURNED_LIKENESS = -0.78
"""Correlation of an axis with what is expected, of maps that are turned: those of OpenKBP and DeepMind would have -0.80
or less, and a map of anything else is not called upside down."""


LEAST_CASES = 3
"""That must show an organ: of two cases nobody knows which one is wrong."""

LEAST_SPREADS = 3.0
"""By so many standard deviations the organs of a learnt pair lie apart, ours."""

LEAST_PAIRS, LEAST_TURNED = 3, 0.8
"""So many learnt pairs must be there, and that share of them reversed, ours."""


@dataclass(frozen=True)
class Axis:
    """An axis of the patient along which organs have an order.

    Attributes:
        index: In LPS coordinates (x, y, z).
        least_apart_mm: Organs that anatomy has nearer to each other are not compared.
        ahead: Where the one with the larger coordinate lies, seen from the other.
        behind: Where the other lies.
        turned: What a label map is in which the order is reversed.
    """

    index: int
    least_apart_mm: float
    ahead: str
    behind: str
    turned: str


AXES = (
    Axis(UP, 40.0, "above", "below", "upside down"),
    Axis(BACK, 35.0, "behind", "in front of", "back to front"),
)


@dataclass(frozen=True)
class Reversal:
    """Two organs that lie the wrong way round.

    Attributes:
        axis: Along which.
        first: The organ whose coordinate should be larger.
        second: The other.
        by_mm: How far the first lies on the wrong side.
    """

    axis: Axis
    first: str
    second: str
    by_mm: float

    def __str__(self) -> str:
        return f"{self.first} lies {self.by_mm:.0f} mm {self.axis.behind} {self.second}, not {self.axis.ahead} it"


@dataclass(frozen=True)
class OrderFinding:
    """What is wrong along one axis.

    Attributes:
        axis: Which.
        reversals: The largest first; at least one.
        compared: How many pairs were compared.
        likeness: Correlation of the organs' positions along the axis with the expected ones, -1 to 1.
    """

    axis: Axis
    reversals: tuple[Reversal, ...]
    compared: int
    likeness: float

    @property
    def is_turned(self) -> bool:
        """Whether the whole map is turned, not single organs."""
        return len(self.reversals) >= TURNED_SHARE * self.compared and self.likeness <= TURNED_LIKENESS

    def __str__(self) -> str:
        more = f" ({len(self.reversals)} of {self.compared} pairs alike)" if len(self.reversals) > 1 else ""
        return f"{self.reversals[0]}{more}"


NOTHING_LEARNT = AnatomyFacts()


def require_order(
    measures: Mapping[str, OrganMeasure], learnt: AnatomyFacts = NOTHING_LEARNT, *, case: str
) -> list[str]:
    """Check that the organs of a label map do not lie upside down or back to front.

    Args:
        measures: Its organs by name.
        learnt: Where they lie to each other in other cases, for names that no table knows.
        case: Name for the message.

    Returns:
        What is said of single organs that lie oddly, a sentence for an axis: they may be mixed up, or pathology.

    Raises:
        InputError: If most do; names the organs.
    """
    findings = check_order(measures, learnt)
    turned = [finding for finding in findings if finding.is_turned]
    if turned:
        found = "; ".join(str(finding) for finding in turned)
        how = " and ".join(finding.axis.turned for finding in turned)
        raise InputError(f"{case}: {found}; the labels or the image header are {how}: mend them")
    return [f"{finding}: contours or names may be mixed up" for finding in findings]


def check_order(measures: Mapping[str, OrganMeasure], learnt: AnatomyFacts) -> list[OrderFinding]:
    """What of a case lies against anatomy, by the table of known organs; where that finds nothing, by other cases."""
    return find_reversals(measures, known_anatomy(measures)) or find_turned(measures, learnt)


def find_reversals(measures: Mapping[str, OrganMeasure], expected: AnatomyFacts) -> list[OrderFinding]:
    """Pairs of organs that lie against what is expected.

    Args:
        measures: The case's organs by name.
        expected: Where organs lie to each other; those that it does not know are passed over.

    Returns:
        A finding for each axis with reversed pairs; empty also where fewer than two organs can be compared.
    """
    names = [name for name in expected.organs if name in measures]
    findings = []
    for axis in AXES:
        compared = 0
        reversals = []
        for first, second, _ in ordered_pairs(names, expected, axis):
            compared += 1
            by_mm = measures[second].center_mm[axis.index] - measures[first].center_mm[axis.index]
            if by_mm >= LEAST_REVERSED_MM:
                reversals.append(Reversal(axis, first, second, by_mm))
        if reversals:
            reversals.sort(key=lambda reversal: -reversal.by_mm)
            likeness = _likeness(names, measures, expected, axis)
            findings.append(OrderFinding(axis, tuple(reversals), compared, likeness))
    return findings


def find_turned(measures: Mapping[str, OrganMeasure], learnt: AnatomyFacts) -> list[OrderFinding]:
    """Cases that lie the other way round than the others, whatever their organs are called.

    Tumours and nodes lie anywhere, and few cases know little: only pairs that hardly differ from case to case count,
    and nothing is said unless nearly all of them are reversed.

    Args:
        measures: The case's organs by name.
        learnt: Where they lie to each other in the other cases.
    """
    names = [name for name in learnt.organs if name in measures and learnt.organs[name].cases >= LEAST_CASES]
    findings = []
    for axis in AXES:
        compared = 0
        reversals = []
        for first, second, apart_mm in ordered_pairs(names, learnt, axis):
            spread_mm = math.hypot(position(learnt, first, axis).spread_mm, position(learnt, second, axis).spread_mm)
            if apart_mm < LEAST_SPREADS * spread_mm:
                continue
            compared += 1
            by_mm = measures[second].center_mm[axis.index] - measures[first].center_mm[axis.index]
            if by_mm >= LEAST_REVERSED_MM:
                reversals.append(Reversal(axis, first, second, by_mm))
        if compared >= LEAST_PAIRS and len(reversals) >= LEAST_TURNED * compared:
            reversals.sort(key=lambda reversal: -reversal.by_mm)
            likeness = _likeness(names, measures, learnt, axis)
            findings.append(OrderFinding(axis, tuple(reversals), compared, likeness))
    return findings


def _likeness(names: Sequence[str], measures: Mapping[str, OrganMeasure], expected: AnatomyFacts, axis: Axis) -> float:
    """Correlation of positions along an axis with the expected ones; 0 where nothing differs."""
    found_mm = np.array([measures[name].center_mm[axis.index] for name in names])
    expected_mm = np.array([position(expected, name, axis).mm for name in names])
    if not found_mm.std() or not expected_mm.std():
        return 0.0
    return float(np.corrcoef(found_mm, expected_mm)[0, 1])


def ordered_pairs(names: Sequence[str], expected: AnatomyFacts, axis: Axis) -> list[tuple[str, str, float]]:
    """Pairs of organs far enough apart along an axis, the one of larger coordinate first, and by how many mm."""
    pairs = []
    for index, name in enumerate(names):
        for other in names[index + 1 :]:
            one, two = position(expected, name, axis), position(expected, other, axis)
            apart_mm = one.mm - two.mm
            if apart_mm >= axis.least_apart_mm:
                pairs.append((name, other, apart_mm))
            elif -apart_mm >= axis.least_apart_mm:
                pairs.append((other, name, -apart_mm))
    return pairs


def position(expected: AnatomyFacts, name: str, axis: Axis) -> Position:
    """Of an organ along an axis."""
    organ = expected.organs[name]
    return organ.up if axis.index == UP else organ.back
