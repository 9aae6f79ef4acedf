"""What a command says in one line before it exits with 2: bad input, or a step that is missing.

Both are ``ValueError``, so a caller who does not tell them apart catches one type. A message names what was expected,
what was found where, and what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence

MAX_LISTED = 5
"""Faults of a kind that a message lists; it says how many more there are."""


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
