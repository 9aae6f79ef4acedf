"""What a setting means and which values it takes, as data on a dataclass field."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, field, fields, replace
from typing import Any

PAPER = "paper"
"""The value of regime ``paper`` is stated in the paper."""
OURS = "ours"
"""The paper does not state it; the value of regime ``paper`` is our choice."""

MAX_SEED = 2**31 - 1
"""NumPy takes up to 2^32 - 1, trainers add fold and rank."""


@dataclass(frozen=True)
class Span:
    """A range of finite numbers.

    Attributes:
        low: Smallest number, or what all are above.
        high: Largest number, or what all are below.
        has_low: Whether ``low`` itself is in the range.
        has_high: Whether ``high`` itself is in the range.
    """

    low: float = 0
    high: float = sys.float_info.max
    has_low: bool = True
    has_high: bool = True

    def holds(self, number: float) -> bool:
        """Whether a number is in the range; NaN is in none."""
        above = number > self.low or (self.has_low and number == self.low)
        below = number < self.high or (self.has_high and number == self.high)
        return above and below

    def __str__(self) -> str:
        lower = f"{self.low:g} or more" if self.has_low else f"above {self.low:g}"
        if self.high == sys.float_info.max:
            return lower
        if self.has_low and self.has_high:
            return f"{self.low:g} to {self.high:.10g}"
        upper = f"at most {self.high:g}" if self.has_high else f"below {self.high:g}"
        return f"{lower}, {upper}"


ABOVE_0 = Span(has_low=False)
ABOVE_1 = Span(low=1, has_low=False)
FROM_0 = Span()
FROM_0_TO_1 = Span(high=1)
ABOVE_0_TO_1 = Span(high=1, has_low=False)
FROM_0_BELOW_1 = Span(high=1, has_high=False)
BETWEEN_0_AND_1 = Span(high=1, has_low=False, has_high=False)


@dataclass(frozen=True)
class Values:
    """Which JSON values a setting takes.

    Attributes:
        kind: ``whole``, ``number``, ``truth``, ``name``, ``names`` (one or more), or ``fact`` for what ``soars-plan``
            writes and nobody sets.
        span: Of a ``whole`` or ``number``.
        count: How many of them, as a list; None for a single one.
        any_above_0: Whether a list needs a number above 0.
        choices: Names that there are; empty for any.
    """

    kind: str
    span: Span = FROM_0
    count: int | None = None
    any_above_0: bool = False
    choices: tuple[str, ...] = ()

    def times(self, count: int) -> Values:
        """A list of so many."""
        return replace(self, count=count)

    def take(self, value: Any) -> bool:
        """Whether a JSON value is one of these."""
        if self.kind == "names":
            return isinstance(value, list) and bool(value) and all(isinstance(name, str) for name in value)
        if self.count is None:
            return self._take_one(value)
        if not isinstance(value, list) or len(value) != self.count:
            return False
        if not all(self._take_one(item) for item in value):
            return False
        return any(value) or not self.any_above_0

    def _take_one(self, value: Any) -> bool:
        if self.kind == "truth":
            return isinstance(value, bool)
        if self.kind == "name":
            return value in self.choices
        if isinstance(value, bool):
            return False
        if self.kind == "whole":
            return isinstance(value, int) and self.span.holds(value)
        return self.kind == "number" and isinstance(value, int | float) and self.span.holds(value)

    def __str__(self) -> str:
        if self.kind == "truth":
            return "true or false"
        if self.kind == "name":
            return " or ".join(f'"{choice}"' for choice in self.choices)
        if self.kind == "names":
            return "list of names"
        if self.kind == "fact":
            return "written by soars-plan"
        noun = "whole number" if self.kind == "whole" else "number"
        if self.count is None:
            return f"{noun}, {self.span}"
        needed = ", one above 0" if self.any_above_0 else ""
        return f"{self.count} {noun}s, {self.span}{needed}"


def whole(low: int, high: int) -> Values:
    """Whole numbers of a range, its ends included."""
    return Values("whole", Span(low=low, high=high))


def number(low: float, high: float) -> Values:
    """Numbers of a range, its ends included."""
    return Values("number", Span(low=low, high=high))


def positive_up_to(high: float) -> Values:
    """Numbers above 0, up to one that is included."""
    return Values("number", Span(high=high, has_low=False))


COUNT = Values("whole", ABOVE_0)
WHOLE = Values("whole", FROM_0)
SEED = Values("whole", Span(high=MAX_SEED))
POSITIVE = Values("number", ABOVE_0)
NOT_NEGATIVE = Values("number", FROM_0)
PROBABILITY = Values("number", FROM_0_TO_1)
TRUTH = Values("truth")
NAMES = Values("names")
FACT = Values("fact")


@dataclass(frozen=True)
class Rule:
    """A setting's meaning, unit, values and source.

    Attributes:
        meaning: One sentence.
        values: Which it takes.
        source: ``PAPER`` or ``OURS``: whose the value of regime ``paper`` is.
        unit: In words; empty where there is none.
        null: What null means; empty if the setting cannot be null.
    """

    meaning: str
    values: Values
    source: str
    unit: str = ""
    null: str = ""

    def takes(self, value: Any) -> bool:
        """Whether a JSON value can be set."""
        if value is None:
            return bool(self.null)
        return self.values.take(value)


_RULE = "rule"


def setting(
    meaning: str, values: Values, source: str, *, unit: str = "", null: str = "", default: Any = MISSING
) -> Any:
    """A dataclass field that carries its rule.

    Args:
        meaning: One sentence.
        values: Which it takes.
        source: ``PAPER`` or ``OURS``.
        unit: In words.
        null: What null means; empty if the setting cannot be null.
        default: What plans without the setting mean.
    """
    rule = Rule(meaning=meaning, values=values, source=source, unit=unit, null=null)
    return field(default=default, metadata={_RULE: rule})


def rules(settings: Any) -> Iterator[tuple[str, Rule]]:
    """Name and rule of every field of a dataclass (or an object of it), in order."""
    for one in fields(settings):
        yield one.name, one.metadata[_RULE]
