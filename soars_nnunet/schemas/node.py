"""A value in parsed JSON that knows where it stands: each step into it either fits or is refused with its place."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar

from soars_nnunet.schemas.fault import FaultError, joined
from soars_nnunet.schemas.printable import printable

MAX_TEXT = 2000
"""Signs of a text."""

MAX_ITEMS = 1000
"""Keys of an object or items of a list, where a check does not say more."""

AGAIN = "copy the file again, or rerun the step that writes it"
"""What to do, where nothing better is known."""

Checked = TypeVar("Checked")


@dataclass(frozen=True)
class Node:
    """A value of JSON.

    Attributes:
        value: As parsed.
        where: File, for messages.
        path: Keys that lead to it, joined by points.
        advice: What to do about a fault, where the check does not say.
        open: Whether objects may have keys that a check does not know: files of other versions, or of nnU-Net.
        faults: Those of the file so far, shared by all nodes of it; None where the first one ends the check.
    """

    value: Any
    where: str
    path: str = ""
    advice: str = AGAIN
    open: bool = False
    faults: list[FaultError] | None = field(default=None, compare=False, repr=False)

    def refuse(self, expected: str, got: str | None = None, advice: str | None = None) -> NoReturn:
        """Refuse the value.

        Args:
            expected: In its place.
            got: Instead; None for the value itself.
            advice: What to do; None for that of the file.

        Raises:
            FaultError: Always.
        """
        shown = printable(shown_value(self.value) if got is None else got)
        shown = shown if len(shown) < 80 or got is not None else f"{shown[:77]}..."
        raise FaultError(self.where, self.path, f"expected {expected}, got {shown}", advice or self.advice)

    @contextmanager
    def part(self) -> Iterator[None]:
        """A part of a check: where faults are gathered, one in it is noted and the check goes on behind it."""
        try:
            yield
        except FaultError as fault:
            if self.faults is None:
                raise
            self.faults.append(fault)

    def at(self, key: str) -> Node:
        """Value of a key that is known to be there."""
        return self._child(key, self.value[key])

    def _child(self, key: object, value: Any) -> Node:
        path = f"{self.path}.{key}" if self.path else str(key)
        return Node(value, self.where, path, self.advice, open=self.open, faults=self.faults)

    def entries(self, most: int = MAX_ITEMS) -> dict[str, Node]:
        """Values of an object with any keys."""
        if not isinstance(self.value, dict):
            self.refuse("an object")
        if len(self.value) > most:
            self.refuse(f"at most {most} keys", str(len(self.value)))
        return {key: self._child(key, value) for key, value in self.value.items()}

    def fields(self, needed: Iterable[str], optional: Iterable[str] = (), advice: str | None = None) -> dict[str, Node]:
        """Values of an object with these keys, and unless it is open no others.

        Args:
            needed: Must be there.
            optional: May be there.
            advice: What to do about others.
        """
        found = self.entries()
        known = set(needed)
        missing = known - set(found)
        unknown = set(found) - known - set(optional)
        if missing:
            self.refuse(f"the keys {', '.join(sorted(missing))}", "an object without them")
        if unknown and not self.open:
            self.refuse("known keys alone", f"also {', '.join(sorted(unknown))}", advice)
        return found

    def items(self, least: int = 0, most: int = MAX_ITEMS) -> list[Node]:
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

    def texts(self, most: int = MAX_ITEMS) -> list[str]:
        """A list of texts."""
        return [item.text() for item in self.items(most=most)]

    def truth(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            self.refuse("true or false")
        return self.value

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

    def one_of(self, choices: Collection[str], advice: str | None = None) -> str:
        """One of some texts."""
        if not isinstance(self.value, str) or self.value not in choices:
            self.refuse(" or ".join(choices), advice=advice)
        return self.value

    def exactly(self, value: Any, advice: str | None = None) -> None:
        """This very value, of this type."""
        if type(self.value) is not type(value) or self.value != value:
            shown = shown_value(value)
            self.refuse(shown if len(shown) < 120 else f"{shown[:117]}...", advice=advice)


def shown_value(value: Any) -> str:
    """A value for a message; whole lists and objects are named, as they may be deep or long."""
    if isinstance(value, dict) and len(value) > 8:
        return f"an object of {len(value)} keys"
    if isinstance(value, list) and len(value) > 50:
        return f"a list of {len(value)} items"
    try:
        return repr(value)
    except RecursionError:
        return "a deeply nested value"


def checked(data: Any, where: str, check: Callable[[Node], Checked], *, advice: str = AGAIN) -> Checked:
    """Check a file whose objects may have further keys, and gather its faults.

    Args:
        data: Parsed JSON.
        where: File, for messages.
        check: Of the whole; raises ``FaultError``, parts of it within ``Node.part``.
        advice: What to do about a fault.

    Returns:
        What the check returns.

    Raises:
        FaultError: If there is a fault; it lists all that were found.
    """
    faults: list[FaultError] = []
    root = Node(data, where, advice=advice, open=True, faults=faults)
    try:
        result = check(root)
    except FaultError as fault:
        raise joined([*faults, fault]) from None
    if faults:
        raise joined(faults)
    return result
