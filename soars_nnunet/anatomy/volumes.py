"""Volumes far outside those of the training cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from soars_nnunet.anatomy.facts import OrganFacts

FAR = 2.0
"""Smaller than the 5th percentile, or larger than the 95th, by this factor: ours. 1 in 100 whole contours of OpenKBP
is so."""

VolumeFlag = Literal["far_below_training", "far_above_training"]
"""What reports say; the words on disk."""


@dataclass(frozen=True)
class VolumeRange:
    """What training cases have, ml.

    Attributes:
        low_ml: 5th percentile.
        high_ml: 95th percentile.
    """

    low_ml: float
    high_ml: float

    def flag(self, volume_ml: float, *, is_cut: bool) -> VolumeFlag | None:
        """Whether a volume is far outside.

        Args:
            volume_ml: More than 0.
            is_cut: The scan's border cuts the organ: then it cannot be too small.
        """
        if volume_ml < self.low_ml / FAR and not is_cut:
            return "far_below_training"
        if volume_ml > self.high_ml * FAR:
            return "far_above_training"
        return None


def volume_range(facts: OrganFacts | None) -> VolumeRange | None:
    """Of an organ; None where no volumes are known."""
    if facts is None or not facts.volume_ml:
        return None
    _, low, _, high, _ = facts.volume_ml
    return VolumeRange(low, high)
