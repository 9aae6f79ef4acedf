"""What becomes of every label of a dataset, as a table for people: before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from soars_nnunet.profile import Profile, normalise
from soars_nnunet.stratification.label_match import NO_ORGANS, LabelMatch

HEADER = ("label", "in the dataset", "organ", "tier", "remark")


@dataclass(frozen=True)
class LabelRow:
    """One label of a dataset.

    Attributes:
        value: As dataset.json has it.
        name: In the dataset.
        organs: TG-263 names of the organs that are trained from it; empty for a label that is not used.
        tier: Of these; empty for a label that is not used.
        remark: How it is read or derived, or why it is not used.
        is_organ: Whether the name means an organ of the profile, or the whole or half of one.
    """

    value: str
    name: str
    organs: tuple[str, ...]
    tier: str
    remark: str
    is_organ: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the dataset has the organ's own name, so that nothing need be said of it."""
        return [normalise(name) for name in self.organs] == [normalise(self.name)] and not self.remark

    @property
    def is_left_out(self) -> bool:
        """Whether a label that means an organ of the profile is not used: a thing to mend."""
        return not self.organs and self.is_organ


def label_rows(labels: Mapping[str, Any], match: LabelMatch, profile: Profile) -> list[LabelRow]:
    """A row for every label but nnU-Net's own, in the dataset's order."""
    made = {name: derivation for derivation in match.derived for name in derivation.names}
    rows = []
    for name, value in labels.items():
        if name in NO_ORGANS:
            continue
        organs: tuple[str, ...] = ()
        remark = ""
        if name in made:
            organs = made[name].organs
            remark = "divided at the midline" if made[name].is_split else "one half, united with the other"
        elif name in match.unknown:
            remark = _why_not_used(name, match, profile)
        else:
            organ = profile.resolve(name)
            organs = (organ.name,) if organ else ()
            remark = "read" if name in match.read_as else ""
        tier = profile.by_name[organs[0]].tier if organs else ""
        is_organ = bool(organs) or bool(profile.organs_of(name))
        rows.append(LabelRow(str(value), name, organs, tier, remark, is_organ))
    return rows


def _why_not_used(name: str, match: LabelMatch, profile: Profile) -> str:
    if name in match.doubtful:
        return f"not used: another name means {match.doubtful[name]}, too; remove one, or say with --alias which it is"
    other = profile.organs_of(name)
    if other:
        return f"not used: the dataset has {' and '.join(other)} itself, or not all that makes it up"
    suggested = " or ".join(profile.suggest(name))
    hint = f"; did you mean {suggested}?" if suggested else ""
    return f"not used: no organ of {profile.name}{hint}"


def format_label_table(rows: Sequence[LabelRow]) -> list[str]:
    """The rows as lines with aligned columns under a header."""
    table = [HEADER]
    for row in rows:
        table.append((row.value, row.name, " + ".join(row.organs) or "-", row.tier or "-", row.remark))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = []
    for cells in table:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return lines
