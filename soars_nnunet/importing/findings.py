"""What an import noticed in a data set, for people (a list by kind) and for programs (JSON)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

KINDS = {
    "refused": "cases left out",
    "kept": "cases of earlier imports, kept",
    "foreign": "files that the set does not know (not read)",
    "unknown": "structures that the set does not know (not written)",
    "read_as": "names that no list has, read as an organ (soars-import --alias NAME=ORGAN, if it is another)",
    "absent_everywhere": "structures without a contour in any case (not written)",
    "never_drawn": "labels without a voxel in any training case (for soars-stratify, choose others with --structures)",
    "numbering": "numbers and counts that differ from the published set",
    "doubtful_ct": "CTs that may be damaged or have a wrong header (written; look at them)",
    "odd_place": "organs that lie to each other against anatomy (written; look at them)",
    "no_ct": "cases without a CT (label map only: for evaluation, not for training)",
    "missing": "not drawn",
    "unusable": "contours that could not be used (counted as not drawn)",
    "incomplete": "unions of which a part is missing (counted as not drawn)",
    "empty": "contours without a voxel (not listed as not drawn: soars-stratify --empty-means-absent decides)",
    "other_grid": "contours on a part of the CT's grid, or in another orientation",
    "label_value": "values in label maps that mean nothing",
    "overlap": "voxels of two structures, and which one keeps them",
    "covered": "contours that others cover wholly (the label map has no voxel of them)",
}
"""Kinds of findings, in the order of the list, and their titles."""

SHOWN_TEXTS = 20
"""Different findings of a kind in the list; the JSON has all."""
SHOWN_CASES = 6
"""Cases named in the list for one finding; the JSON has all."""


@dataclass(frozen=True)
class Finding:
    """One thing noticed.

    Attributes:
        kind: Key of ``KINDS``.
        text: The same words for the same thing in every case.
        case: Where it was noticed, or None for the set as a whole.
        voxels: How many it concerns, where that can be said.
    """

    kind: str
    text: str
    case: str | None = None
    voxels: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form without what is not known."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def format_findings(findings: Iterable[Finding]) -> list[str]:
    """Lines by kind: each finding once, with its cases; empty without findings."""
    by_kind: dict[str, dict[str, list[Finding]]] = {}
    for finding in findings:
        by_text = by_kind.setdefault(finding.kind, {})
        by_text.setdefault(finding.text, []).append(finding)
    lines = []
    for kind, title in KINDS.items():
        if kind not in by_kind:
            continue
        lines.append(f"{title}:")
        texts = list(by_kind[kind])
        for text in texts[:SHOWN_TEXTS]:
            lines.append(f"  {text}{_where(by_kind[kind][text])}")
        if len(texts) > SHOWN_TEXTS:
            lines.append(f"  and {len(texts) - SHOWN_TEXTS} more")
    return lines


def _where(found: Sequence[Finding]) -> str:
    """The cases of findings of one text, and their most voxels; empty where no case is known."""
    cases = [finding.case for finding in found if finding.case]
    if not cases:
        return ""
    names = ", ".join(cases[:SHOWN_CASES])
    if len(cases) > SHOWN_CASES:
        names += f" and {len(cases) - SHOWN_CASES} more"
    voxels = [finding.voxels for finding in found if finding.voxels is not None]
    most = f", up to {max(voxels)} voxels" if voxels else ""
    return f": {len(cases)} case(s){most} ({names})"


def format_numbers(numbers: Iterable[int]) -> str:
    """Ascending numbers with runs drawn together: ``1-3, 7``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    texts = []
    for first, last in runs:
        texts.append(f"{first}-{last}" if last > first else str(first))
    return ", ".join(texts)
