"""A value in parsed JSON that knows where it stands: each step into it either fits or is refused with its place."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, NoReturn

from soars_nnunet.bundles.container import AGAIN, refusal

MAX_TEXT = 2000
"""Signs of a text."""


@dataclass(frozen=True)
class Node:
    """A value of JSON.

    Attributes:
        value: As parsed.
        where: File, for messages.
        path: Keys that lead to it, joined by points.
    """

    value: Any
    where: str
    path: str = ""

    def refuse(self, expected: str, got: str | None = None, advice: str = AGAIN) -> NoReturn:
        """Refuse the value.

        Args:
            expected: In its place.
            got: Instead; None for the value itself.
            advice: What to do.

        Raises:
            MissingArtifactError: Always.
        """
        shown = repr(self.value) if got is None else got
        place = f"{self.where}, {self.path}" if self.path else self.where
        raise refusal(place, expected, shown if len(shown) < 80 else f"{shown[:77]}...", advice)

    def at(self, key: str) -> Node:
        """Value of a key that is known to be there."""
        return self._child(key, self.value[key])

    def _child(self, key: object, value: Any) -> Node:
        return Node(value, self.where, f"{self.path}.{key}" if self.path else str(key))

    def entries(self, most: int = 1000) -> dict[str, Node]:
        """Values of an object with any keys."""
        if not isinstance(self.value, dict):
            self.refuse("an object")
        if len(self.value) > most:
            self.refuse(f"at most {most} keys", str(len(self.value)))
        return {key: self._child(key, value) for key, value in self.value.items()}

    def fields(self, needed: Iterable[str], optional: Iterable[str] = (), advice: str = AGAIN) -> dict[str, Node]:
        """Values of an object with these keys and no others.

        Args:
            needed: Must be there.
            optional: May be there.
            advice: What to do about others.
        """
        found = self.entries()
        missing = set(needed) - set(found)
        unknown = set(found) - set(needed) - set(optional)
        if missing:
            self.refuse(f"the keys {', '.join(sorted(missing))}", "an object without them")
        if unknown:
            self.refuse("known keys alone", f"also {', '.join(sorted(unknown))}", advice)
        return found

    def items(self, least: int = 0, most: int = 1000) -> list[Node]:
        """Items of a list."""
        if not isinstance(self.value, list):
            self.refuse("a list")
        if not least <= len(self.value) <= most:
            span = f"{least}" if least == most else f"{least} to {most}"
            self.refuse(f"a list of {span} items", f"{len(self.value)}")
        return [self._child(index, item) for index, item in enumerate(self.value)]

    def text(self, pattern: str = "", most: int = MAX_TEXT) -> str:
        """A text; with a pattern, one that it matches as a whole."""
        if not isinstance(self.value, str) or len(self.value) > most:
            self.refuse(f"a text of at most {most} signs")
        if pattern and not re.fullmatch(pattern, self.value):
            self.refuse(f"a text like {pattern}")
        return self.value

    def texts(self, most: int = 1000) -> list[str]:
        """A list of texts."""
        return [item.text() for item in self.items(most=most)]

    def number(self, low: float, high: float) -> float:
        """A number in a range, its ends included."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float) or not low <= self.value <= high:
            self.refuse(f"a number from {low:g} to {high:g}")
        return self.value

    def numbers(self, count: int, low: float, high: float) -> list[float]:
        """So many numbers in a range."""
        return [item.number(low, high) for item in self.items(count, count)]

    def whole(self, low: int, high: int) -> int:
        """A whole number in a range, its ends included."""
        if isinstance(self.value, bool) or not isinstance(self.value, int) or not low <= self.value <= high:
            self.refuse(f"a whole number from {low} to {high}")
        return self.value

    def wholes(self, count: int, low: int, high: int) -> list[int]:
        """So many whole numbers in a range."""
        return [item.whole(low, high) for item in self.items(count, count)]

    def one_of(self, choices: Collection[str], advice: str = AGAIN) -> str:
        """One of some texts."""
        if not isinstance(self.value, str) or self.value not in choices:
            self.refuse(" or ".join(choices), advice=advice)
        return self.value

    def exactly(self, value: Any, advice: str = AGAIN) -> None:
        """This very value, of this type."""
        if type(self.value) is not type(value) or self.value != value:
            shown = repr(value)
            self.refuse(shown if len(shown) < 120 else f"{shown[:117]}...", advice=advice)
