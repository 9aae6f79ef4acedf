"""What a command says in one line before it exits with 2: bad input, or a step that is missing.

Both are ``ValueError``, so a caller who does not tell them apart catches one type. A message names what was expected,
what was found where, and what to do next.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

MAX_LISTED = 5
"""Faults of a kind that a message lists; it says how many more there are."""

MAX_MEANT = 3
"""Names that a message asks about."""

ALIKE = 0.6
"""Share of common letters from which on names are asked about, as ``difflib`` counts them."""


class InputError(ValueError):
    """Something that the user gave cannot be used: an image, a label map, a table, a profile or an option.

    The user can put it right by giving something else. The message says what was expected, what was found and what
    to give instead, in one line.
    """


class MissingArtifactError(ValueError):
    """A file or folder that an earlier step writes is absent, unreadable, or made from something else.

    The user can put it right by running that step. The message names the artifact and the command that makes it, and
    all missing artifacts of a kind at once.
    """


def listed(faults: Sequence[str], most: int = MAX_LISTED) -> str:
    """Faults of a kind for one line: the first ones in full, the others as a number; empty for none."""
    text = "; ".join(faults[:most])
    further = len(faults) - most
    return f"{text}; and {further} more" if further > 0 else text


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question for the end of a message, ``; did you mean A or B?``, without regard to capitals, spaces, _ and -.

    Args:
        name: What the user wrote.
        known: What the user could have written.

    Returns:
        Empty if nothing known is like it.
    """
    meant = _alike(name, known)
    return f"; did you mean {' or '.join(meant)}?" if meant else ""


def did_you_mean_each(names: Sequence[str], known: Iterable[str]) -> str:
    """The same for several names, as ``; did you mean A for a, B or C for b?``; empty if nothing is like any."""
    known = list(known)
    if len(names) == 1:
        return did_you_mean(names[0], known)
    questions = []
    for name in names:
        meant = _alike(name, known)
        if meant:
            questions.append(f"{' or '.join(meant)} for {name}")
    return f"; did you mean {', '.join(questions[:MAX_LISTED])}?" if questions else ""


def _alike(name: str, known: Iterable[str]) -> list[str]:
    """Names that are spelt nearly so, the most alike first."""
    by_spelling: dict[str, str] = {}
    for other in known:
        by_spelling.setdefault(_letters(other), other)
    return [by_spelling[spelling] for spelling in get_close_matches(_letters(name), by_spelling, MAX_MEANT, ALIKE)]


def _letters(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")
