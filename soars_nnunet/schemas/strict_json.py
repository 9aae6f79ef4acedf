"""JSON of unknown origin: parsed once, with limits on depth, numbers and the signs in texts."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator
from typing import Any, NoReturn

from soars_nnunet.schemas.fault import FaultError
from soars_nnunet.schemas.node import AGAIN
from soars_nnunet.schemas.printable import printable

MAX_DEPTH = 24
"""Of lists and objects in one another; plans have 9."""

MAX_DIGITS = 20
"""Of an integer."""

NOT_PLAIN = {"Cc": "a control sign", "Cf": "a sign that changes how text is shown", "Cs": "half of a sign"}
"""Unicode categories of signs that texts may not have."""


class _RefusedError(ValueError):
    """Something that JSON may say and a bundle may not."""


def parse_json(content: bytes, where: str, *, several_lines: bool = False, advice: str = AGAIN) -> Any:
    """Parse JSON.

    Args:
        content: Of the file.
        where: Path for messages.
        several_lines: Whether texts may have line breaks and tabs.
        advice: What to do about a fault.

    Raises:
        FaultError: If it is no JSON, nested too deep, has a key twice, a number that is not finite, or signs
            in a text that a terminal acts on.
    """
    try:
        data = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_short,
        )
    except RecursionError:
        raise FaultError(where, "", f"expected JSON of at most {MAX_DEPTH} levels, got more", advice) from None
    except ValueError as error:  # also what the hooks refuse, and bytes that are not UTF-8
        found = printable(str(error).splitlines()[0])
        raise FaultError(where, "", f"expected valid JSON, got {found}", advice) from None
    require_shallow(data, where, MAX_DEPTH, advice)
    for text in _texts(data):
        require_plain_text(text, where, several_lines=several_lines, advice=advice)
    return data


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise _RefusedError("an object with one key twice")
    return data


def _refuse_constant(text: str) -> NoReturn:
    raise _RefusedError(f"{text}, which is no number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _RefusedError(f"a number that is too large: {text[:MAX_DIGITS]}")
    return value


def _short(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise _RefusedError(f"a number of {len(text)} digits")
    return int(text)


def require_shallow(data: Any, where: str, deepest: int, advice: str = AGAIN) -> None:
    """Check how deep lists and objects lie in one another, without recursion.

    Raises:
        FaultError: If deeper.
    """
    for _, depth in _walk(data):
        if depth > deepest:
            raise FaultError(where, "", f"expected JSON of at most {deepest} levels, got more", advice)


def _walk(data: Any) -> Iterator[tuple[Any, int]]:
    """Every value and key with the number of lists and objects that it lies in, itself included."""
    left = [(data, 1 if isinstance(data, dict | list) else 0)]
    while left:
        value, depth = left.pop()
        yield value, depth
        if isinstance(value, dict):
            left += [(key, depth) for key in value]
        if isinstance(value, dict | list):
            items = value.values() if isinstance(value, dict) else value
            left += [(item, depth + isinstance(item, dict | list)) for item in items]


def _texts(data: Any) -> Iterator[str]:
    for value, _ in _walk(data):
        if isinstance(value, str):
            yield value


def require_plain_text(text: str, where: str, *, several_lines: bool = False, advice: str = AGAIN) -> None:
    """Check that a text has no sign that a terminal or a browser acts on.

    Raises:
        FaultError: If it has: control signs, escapes, changes of direction, halves of signs.
    """
    if text.isascii() and text.isprintable():
        return
    allowed = "\n\t" if several_lines else ""
    for sign in text:
        problem = NOT_PLAIN.get(unicodedata.category(sign))
        if problem and sign not in allowed:
            found = f"{problem} ({ascii(sign)}) in '{printable(text, 40)}'"
            raise FaultError(where, "", f"expected plain text, got {found}", advice)
