"""JSON of unknown origin: parsed once, with limits on depth, numbers and the signs in texts."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any, NoReturn

from soars_nnunet.bundles.container import printable, refusal

MAX_DEPTH = 24
"""Of lists and objects in one another; plans have 9."""

MAX_DIGITS = 20
"""Of an integer."""

NOT_PLAIN = {"Cc": "a control sign", "Cf": "a sign that changes how text is shown", "Cs": "half of a sign"}
"""Unicode categories of signs that texts may not have."""


class _RefusedError(ValueError):
    """Something that JSON may say and a bundle may not."""


def parse_json(content: bytes, where: str, *, several_lines: bool = False) -> Any:
    """Parse JSON.

    Args:
        content: Of the file.
        where: Path for messages.
        several_lines: Whether texts may have line breaks and tabs.

    Raises:
        MissingArtifactError: If it is no JSON, nested too deep, has a key twice, a number that is not finite, or signs
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
        raise refusal(where, f"JSON of at most {MAX_DEPTH} levels", "more") from None
    except ValueError as error:  # also what the hooks refuse, and bytes that are not UTF-8
        raise refusal(where, "valid JSON", str(error).splitlines()[0]) from None
    _check(data, where, several_lines)
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


def _check(data: Any, where: str, several_lines: bool) -> None:
    """Walk through everything, without recursion."""
    left = [(data, 1)]
    while left:
        value, depth = left.pop()
        if isinstance(value, str):
            require_plain_text(value, where, several_lines=several_lines)
        elif isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                raise refusal(where, f"JSON of at most {MAX_DEPTH} levels", "more")
            if isinstance(value, dict):
                left += [(key, depth) for key in value]
                left += [(item, depth + 1) for item in value.values()]
            else:
                left += [(item, depth + 1) for item in value]


def require_plain_text(text: str, where: str, *, several_lines: bool = False) -> None:
    """Check that a text has no sign that a terminal or a browser acts on.

    Raises:
        MissingArtifactError: If it has: control signs, escapes, changes of direction, halves of signs.
    """
    if text.isascii() and text.isprintable():
        return
    allowed = "\n\t" if several_lines else ""
    for sign in text:
        problem = NOT_PLAIN.get(unicodedata.category(sign))
        if problem and sign not in allowed:
            raise refusal(where, "plain text", f"{problem} ({ascii(sign)}) in '{printable(text, 40)}'")
