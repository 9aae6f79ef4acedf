"""One organ at risk, as a profile has it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from soars_nnunet.naming.organ_names import read_name

TIERS = ("anchor", "mid_level", "small_hard")
"""The three strata of the paper (sec. 3.1), in the order in which they are computed."""


@dataclass(frozen=True)
class Organ:
    """One organ at risk.

    Attributes:
        name: TG-263 name.
        label: Value in the final label volume (1 .. number of organs).
        paper_name: Row name in the paper's tables 5 to 7.
        tier: One of ``TIERS``.
        mirror: TG-263 name of the organ on the other side, or None for a midline organ.
        target: Detection target whose VOI holds the organ (small & hard tier only).
        precedence: Where organs overlap in one volume, the higher precedence wins.
        composite: Organs whose union is evaluated in place of the organ alone.
        aliases: Spellings beside those of ``plans/organ_names.json``; compared without case, spaces, ``_``, ``-``
            and ``.``.
        tolerance_mm: Distance at which surface DSC counts two contours as the same; None leaves it out.
        tolerance_source: Where the tolerance comes from: a key of the profile's ``tolerance_sources``.
    """

    name: str
    label: int
    paper_name: str
    tier: str
    mirror: str | None = None
    target: str | None = None
    precedence: int = 0
    composite: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    tolerance_mm: float | None = None
    tolerance_source: str | None = None

    @property
    def spellings(self) -> tuple[str, ...]:
        """All names that the profile lists for the organ."""
        return (self.name, self.paper_name, *self.aliases)

    @property
    def side(self) -> str | None:
        """``"L"``, ``"R"`` or None, from the TG-263 suffix; ``Profile.sides`` reads side words of clinics, too."""
        return self.name[-1] if re.search(r"_[LR]$", self.name) and self.mirror else None

    @property
    def named_side(self) -> str | None:
        """``"L"``, ``"R"`` or None, from side words in the first spelling that has one, as ``Parotis_li``."""
        for spelling in self.spellings:
            reading = read_name(spelling)
            if reading and reading.side:
                return reading.side
        return None
