"""What is wrong in a file: one fault with its place, or all faults of a file in one line."""

from __future__ import annotations

from collections.abc import Sequence

from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.schemas.printable import printable

MAX_LISTED = 8
"""Faults that a message lists."""


class FaultError(MissingArtifactError):
    """A value that is not as it should be.

    Args:
        where: File.
        place: In it, keys joined by points; empty for the whole file.
        problem: What was expected, and what was found.
        advice: What to do.
    """

    def __init__(self, where: str, place: str, problem: str, advice: str) -> None:
        self.where, self.place, self.problem, self.advice = where, place, problem, advice
        shown = f"{printable(where)}, {printable(place, 100)}" if place else printable(where)
        super().__init__(f"{shown}: {problem}; {advice}")


def joined(faults: Sequence[FaultError]) -> FaultError:
    """One error for all faults of a file; there is at least one."""
    first = faults[0]
    if len(faults) == 1:
        return first
    parts = []
    for fault in faults[:MAX_LISTED]:
        parts.append(f"{printable(fault.place, 100)}: {fault.problem}" if fault.place else fault.problem)
    if len(faults) > MAX_LISTED:
        parts.append(f"and {len(faults) - MAX_LISTED} more")
    return FaultError(first.where, "", f"{len(faults)} faults: {' | '.join(parts)}", first.advice)
