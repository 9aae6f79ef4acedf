"""JSON as people and programs write it: read within limits, each fault named by line and column.

A byte-order mark is accepted, as editors on Windows write it. What happens to a refused file is said by whoever reads
it: ``cascade.storage`` for files that a step wrote and for a user's own, ``profile`` for profiles.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from pathlib import Path
from typing import Any, NoReturn

MAX_BYTES = 512 << 20
"""Of a file: what is larger is no table or record."""

MAX_DEPTH = 100
"""Of lists and objects in one another; plans have 9."""

LONGEST_EXCERPT = 40
"""Signs of the faulty line that a message shows."""

MAX_LISTED = 5
"""Faults of a kind that a message shows."""

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]', re.DOTALL)
"""A text, or a sign that gives JSON its structure."""

MARKS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"))
"""Byte-order marks of encodings that JSON files do not have."""

HINTS = (
    (r"Expecting property name", r"\}", "the comma before this '}' is one too many"),
    (r"Expecting property name", r"'", "names are in single quotes; JSON has double ones"),
    (r"Expecting property name", r"//|/\*|#", "JSON has no comments; remove it"),
    (r"Expecting property name", r"", "expected a name in double quotes"),
    (r"Illegal trailing comma", r"", "the comma here is one too many"),
    (r"Expecting value", r"\]", "the comma before this ']' is one too many, or a value is missing"),
    (r"Expecting value", r"'", "a text is in single quotes; JSON has double ones"),
    (r"Expecting value", r"True|False|None", "JSON spells it true, false or null"),
    (r"Expecting value", r"//|/\*|#", "JSON has no comments; remove it"),
    (r"Expecting value", r"[+.0-9]", "a number is not written as JSON writes it, as in 12, -3 or 0.5"),
    (
        r"Expecting value",
        r"",
        "expected a value: a text in double quotes, a number, true, false, null, a list or {...}",
    ),
    (r"Expecting ',' delimiter", r"//|/\*|#", "JSON has no comments; remove it"),
    (r"Expecting ',' delimiter", r"", "a comma is missing before this, or a bracket is not closed"),
    (r"Expecting ':' delimiter", r"", "expected a colon between name and value"),
    (r"Extra data", r"", "the file has something after its end; a bracket may be closed too early"),
    (r"Invalid control character", r"", "a text has a line break or tab in it; is its closing quote missing?"),
    (r"Unterminated string", r"", "a text has no closing quote"),
    (r"Invalid (\\+)", r"", "a backslash in a text has to be doubled, as in C:\\\\data"),
)
"""What a fault is in the reader's words, by the parser's message and by what stands at its place."""


class JsonTextError(ValueError):
    """A text that is no JSON, or more than JSON files are allowed to be; says where and what, in one line."""


def read_json_file(path: Path, *, finite: bool = False) -> Any:
    """Parse a JSON file.

    Args:
        path: Of the file.
        finite: Refuse NaN and infinity, which Python writes and JSON does not know.

    Raises:
        FileNotFoundError: If there is none.
        OSError: If it cannot be read.
        JsonTextError: If it is something else than a file of UTF-8 JSON.
    """
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "something that is no file"
        raise JsonTextError(f"expected a file, found {kind}")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise JsonTextError(f"expected at most {MAX_BYTES >> 20} MiB, found {size >> 20}")
    return parse_json_text(path.read_bytes(), finite=finite)


def parse_json_text(content: bytes, *, finite: bool = False) -> Any:
    """Parse JSON.

    Args:
        content: UTF-8, with or without a byte-order mark.
        finite: Refuse NaN and infinity.

    Raises:
        JsonTextError: With line and column of the fault, and what it is.
    """
    text = _decode(content)
    if not text.strip():
        raise JsonTextError("the file is empty")
    try:
        data = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_refuse_constant if finite else None,
            parse_float=_finite if finite else None,
        )
    except json.JSONDecodeError as error:
        raise JsonTextError(_describe(error, text)) from None
    except _TwiceError:
        raise JsonTextError(_describe_twice(text)) from None
    except _NotFiniteError as error:
        raise JsonTextError(_describe_not_finite(text, str(error))) from None
    except RecursionError:
        raise JsonTextError(f"expected at most {MAX_DEPTH} lists and objects in one another, found more") from None
    except ValueError as error:  # an integer of more digits than Python reads
        raise JsonTextError(f"a number has too many digits ({error})") from None
    _check(data, deep=content.count(b"[") + content.count(b"{") > MAX_DEPTH, escaped=b"\\ud" in content.lower())
    return data


def in_words(value: Any) -> str:
    """A wrong value of a JSON file for a message, short, and with a hint if it is a number or a truth in quotes."""
    if isinstance(value, str):
        shown = printable(value, LONGEST_EXCERPT)
        try:
            unquoted = isinstance(json.loads(value), int | float)
        except (ValueError, RecursionError):
            unquoted = False
        return f'"{shown}" (a text: remove the quotes)' if unquoted else f'"{shown}"'
    if isinstance(value, dict):
        return f"an object of {len(value)} entries"
    if isinstance(value, list | tuple) and len(value) > MAX_LISTED:
        return f"a list of {len(value)}"
    try:
        return printable(json.dumps(value), LONGEST_EXCERPT)
    except (TypeError, ValueError, RecursionError):
        return f"a {type(value).__name__}"


def printable(text: str, longest: int) -> str:
    """A text for the terminal: short, on one line, without signs that a terminal acts on."""
    signs = []
    for sign in text[: longest + 1]:
        signs.append(" " if sign.isspace() else "?" if unicodedata.category(sign).startswith("C") else sign)
    shown = "".join(signs)
    return shown if len(shown) <= longest else f"{shown[:longest]}..."


class _TwiceError(ValueError):
    """An object has a name twice."""


class _NotFiniteError(ValueError):
    """A number that is not finite; its text is the message."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise _TwiceError
    return data


def _refuse_constant(text: str) -> NoReturn:
    raise _NotFiniteError(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _NotFiniteError(text)
    return value


def _decode(content: bytes) -> str:
    for mark, name in MARKS:
        if content.startswith(mark):
            raise JsonTextError(f"the file is {name}, expected UTF-8; save it as UTF-8")
    if b"\0" in content:
        offset = content.index(b"\0")
        raise JsonTextError(f"{_line_of(content, offset)}: a zero byte, expected text; the file is damaged or binary")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = content[error.start : error.start + 1].hex()
        place = _line_of(content, error.start)
        raise JsonTextError(f"{place}: the byte 0x{byte} is not UTF-8; save the file as UTF-8") from None


def _line_of(content: bytes, offset: int) -> str:
    return f"line {content.count(bytes([10]), 0, offset) + 1}"


def _describe(error: json.JSONDecodeError, text: str) -> str:
    """Where the parser stopped, and why."""
    rest = text[error.pos :]
    place = f"line {error.lineno}, column {error.colno}"
    if not rest.strip():
        return f"{place}: the file ends there, before its brackets are closed; is it cut off?"
    end_of_line = text.find("\n", error.pos)
    start = text.rfind("\n", 0, error.pos) + 1
    line = text[max(start, error.pos - LONGEST_EXCERPT // 2) : end_of_line if end_of_line >= 0 else len(text)].strip()
    return f"{place}, at '{printable(line, LONGEST_EXCERPT)}': {_hint(error.msg, rest)}"


def _hint(message: str, rest: str) -> str:
    for said, found, hint in HINTS:
        if re.match(said, message) and re.match(found, rest):
            return hint
    return message


def _describe_twice(text: str) -> str:
    """Every name that an object has twice, by the line of the second."""
    found: list[str] = []
    names: list[set[str]] = []  # of every object or list that is open
    last = ""
    for token in TOKEN.finditer(text):
        sign = token.group()
        if sign in "[{":
            names.append(set())
        if sign in "]}":
            names.pop()
        if sign == ":" and last in names[-1]:
            found.append(f"{printable(last, LONGEST_EXCERPT)} on line {text.count(chr(10), 0, token.start()) + 1}")
        if sign == ":":
            names[-1].add(last)
        last = sign
    more = f" and {len(found) - MAX_LISTED} more" if len(found) > MAX_LISTED else ""
    return f"expected every name of an object once, got again: {', '.join(found[:MAX_LISTED])}{more}"


def _describe_not_finite(text: str, number: str) -> str:
    stripped = TOKEN.sub(lambda token: re.sub(r"[^\n]", " ", token.group()), text)
    line = stripped.count("\n", 0, max(stripped.find(number), 0)) + 1
    return f"line {line}: expected a finite number, got {printable(number, LONGEST_EXCERPT)}"


def _check(data: Any, *, deep: bool, escaped: bool) -> None:
    """Walk through everything, without recursion, where the text lets one expect that something is wrong.

    Raises:
        JsonTextError: If it is nested too deep, or a text has half of a sign, which cannot be written anywhere.
    """
    left = [(data, 1)] if deep or escaped else []
    while left:
        value, depth = left.pop()
        if isinstance(value, str):
            if any(unicodedata.category(sign) == "Cs" for sign in value):
                raise JsonTextError(f"'{printable(value, LONGEST_EXCERPT)}' has half of a sign (\\ud800 to \\udfff)")
        elif isinstance(value, dict | list):
            if depth > MAX_DEPTH:
                raise JsonTextError(f"expected at most {MAX_DEPTH} lists and objects in one another, found more")
            if isinstance(value, dict):
                left += [(key, depth) for key in value]
                value = list(value.values())
            left += [(item, depth + 1) for item in value]
