"""Texts of unknown origin made fit for a terminal, a log or a table: what acts on it is shown, not obeyed."""

from __future__ import annotations

LONGEST = 200
"""Signs of a value that a message shows."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the start of a formula."""


def printable(text: str, longest: int = LONGEST) -> str:
    """A text of unknown origin for a message: in one line, without signs that a terminal acts on, cut if long."""
    return escaped(text[:longest]) + ("..." if len(text) > longest else "")


def with_reason(name: object, reason: str) -> str:
    """A refused name for a message, short, with why it is refused."""
    shown = f"'{printable(name, 60)}'" if isinstance(name, str) else printable(repr(name), 60)
    return f"{shown}, which {reason}"


def escaped(text: str, kept: str = "") -> str:
    """A text with every sign that is not printable as its escape: control signs, changes of direction, halves of signs.

    Args:
        text: Of unknown origin.
        kept: Signs that stay, such as the line ends of a table.
    """
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() or sign in kept else ascii(sign)[1:-1] for sign in text)


def cell(value: object) -> object:
    """A value for a cell of a CSV file: a text that a spreadsheet would take for a formula gets an apostrophe in front.

    Numbers, also those in a text, stay what they are.
    """
    if not isinstance(value, str) or not value.startswith(FORMULA_STARTS) or _is_number(value):
        return value
    return f"'{value}"


def as_typed(text: str) -> str:
    """A text out of a cell that ``cell`` made: without the apostrophe."""
    return text[1:] if text.startswith("'") and cell(text[1:]) == text else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
