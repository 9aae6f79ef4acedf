"""What is known of organs from training cases: where they lie to each other, and how large they are.

Stratifying learns it, manifests and bundles carry it, prediction compares. It names no case.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

VOLUME_PERCENTILES = (1, 5, 50, 95, 99)
"""That ``OrganFacts.volume_ml`` holds."""


@dataclass(frozen=True)
class Position:
    """Where an organ's centre lies along one axis of the patient, in a frame that all organs share.

    Attributes:
        mm: Median over the cases.
        spread_mm: Standard deviation over them, by the median deviation; 0 where it is not known.
    """

    mm: float
    spread_mm: float = 0.0


@dataclass(frozen=True)
class OrganFacts:
    """An organ in the training cases.

    Attributes:
        cases: How many have a contour of it.
        up: Position towards the head.
        back: Position towards the back.
        volume_ml: ``VOLUME_PERCENTILES`` of its volumes, of contours that the scan's border does not cut; empty
            without one.
    """

    cases: int
    up: Position
    back: Position
    volume_ml: tuple[float, ...] = ()


@dataclass(frozen=True)
class AnatomyFacts:
    """What is known of organs, by name; empty where nothing is known, as in manifests of earlier versions."""

    organs: dict[str, OrganFacts] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> AnatomyFacts:
        """Out of JSON.

        Raises:
            KeyError: If a value is missing.
            TypeError: If the data is something else.
        """
        organs = {}
        for name, row in data.items():
            organs[name] = OrganFacts(
                cases=row["cases"],
                up=Position(*row["up_mm"]),
                back=Position(*row["back_mm"]),
                volume_ml=tuple(row["volume_ml"]),
            )
        return cls(organs)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; ``from_dict`` reads it back."""
        rows = {}
        for name, organ in self.organs.items():
            rows[name] = {
                "cases": organ.cases,
                "up_mm": [organ.up.mm, organ.up.spread_mm],
                "back_mm": [organ.back.mm, organ.back.spread_mm],
                "volume_ml": list(organ.volume_ml),
            }
        return rows
