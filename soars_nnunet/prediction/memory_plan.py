"""Whether there is memory for the prediction of CTs: too little is an error, not a killed process."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from soars_nnunet.errors import InputError
from soars_nnunet.prediction.memory_estimate import Needed
from soars_nnunet.prediction.memory_limits import GIB, available_bytes, held_bytes, total_bytes


@dataclass(frozen=True)
class MemoryPlan:
    """What CTs need and what there is.

    Attributes:
        needed: By case whose header makes sense.
        too_large: By case, why it is not even to be read.
        limit_gib: The user's limit for the whole process, which he answers for; None for what is free.
        held: What the process held before its first CT, bytes: later it also holds what ``needed`` counts.
        read: Bytes of the only CT, if it is read already.
    """

    needed: dict[str, Needed]
    too_large: dict[str, InputError]
    limit_gib: float | None
    held: int
    read: int = 0

    @classmethod
    def of(cls, needed: dict[str, Needed], limit_gib: float | None, read: int = 0) -> MemoryPlan:
        """Find the cases that are too large; without a limit only those that exceed what memory there is at all."""
        held, too_large = held_bytes() - read, {}
        for case, own in needed.items():
            if limit_gib is None and held + own.alone <= total_bytes():
                continue  # there may be more by the time it is worked on
            try:
                require_memory(own.alone, limit_gib, case, held)
            except InputError as error:
                too_large[case] = error
        return cls(needed, too_large, limit_gib, held, read)

    @property
    def possible(self) -> list[Needed]:
        """What the cases need that are not too large."""
        return [own for case, own in self.needed.items() if case not in self.too_large]

    @cached_property
    def side_by_side(self) -> bool:
        """Whether one case may be prepared and one exported while networks run on a third."""
        usable = available_bytes() if self.limit_gib is None else int(self.limit_gib * GIB) - self.held
        return len(self.needed) > 1 and Needed.side_by_side(self.possible) <= usable

    def describe(self) -> str:
        """The peak, estimated, in words, with what there is or the user's limit."""
        cases = self.possible or list(self.needed.values())
        alone = max((own.alone for own in cases), default=0)
        peak = Needed.side_by_side(cases) if self.side_by_side else alone
        usable = (self.held + self.read + available_bytes()) / GIB if self.limit_gib is None else self.limit_gib
        return f"estimated peak memory {(self.held + peak) / GIB:.1f} GiB, {usable:.1f} GiB may be used"

    def require(self, case: str) -> None:
        """Refuse a case that is too large, or, where cases come one after the other, for which too little is free now.

        Raises:
            InputError: If it is not to be read.
        """
        if case in self.too_large:
            raise self.too_large[case]
        if case in self.needed and not self.side_by_side and self.limit_gib is None:
            require_memory(self.needed[case].alone - self.read, None, case)

    def further(self, case: str, exported: str = "") -> int:
        """Bytes that a prepared case takes further, beside what one that is being exported may yet take.

        0 where the user has set a limit, against which all was held beforehand, or the case's header says nothing.
        """
        if self.limit_gib is not None or case not in self.needed:
            return 0
        own = self.needed[case]
        if beside := self.needed.get(exported):
            return own.running - own.prepared + beside.exporting - beside.inferred
        return max(own.running, own.exporting) - own.prepared


def require_memory(needed: int, limit_gib: float | None, case: str, held: int | None = None) -> None:
    """Check an estimate against the memory there is.

    Args:
        needed: Bytes beside what the process holds already.
        limit_gib: The user's limit for the whole process, GiB, which he answers for; None for what is free.
        case: Which CT needs it, for the message.
        held: What the process held before its first CT, for a limit: later it also holds what ``needed`` counts, and
            what it has freed. None for what it holds now.

    Raises:
        InputError: If it does not fit.
    """
    held = held_bytes() if held is None or limit_gib is None else held
    usable = held + available_bytes() if limit_gib is None else int(limit_gib * GIB)
    if held + needed > usable:
        remedy = "close other programs, or give --memory-limit" if limit_gib is None else "raise --memory-limit"
        raise InputError(
            f"{case}: expected to need {(held + needed) / GIB:.1f} GiB of memory, {usable / GIB:.1f} GiB may be used; "
            f"{remedy}, name fewer organs with --roi-subset, or crop the CT"
        )
