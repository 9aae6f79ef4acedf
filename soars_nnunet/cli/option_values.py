"""Values of options: paths, names and numbers within what makes sense; argparse names the option that has another.

A function raises ``argparse.ArgumentTypeError`` with what was expected and what was found.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from soars_nnunet.schemas.names import name_problem
from soars_nnunet.schemas.printable import printable

MAX_PROCESSES = 1024

SPACING_MM = (0.05, 100.0)
"""Of a grid that CTs or networks have."""


def to_path(text: str) -> Path:
    """A path; an empty text is none, though it would mean the folder that one is in."""
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError("expected a path, got an empty text; name a file or folder")
    return Path(text)


def to_name(text: str) -> str:
    """A name that becomes part of the names of files and folders."""
    problem = name_problem(text)
    if problem or text.startswith((".", "-")):
        reason = problem or "starts with a point or dash"
        raise argparse.ArgumentTypeError(f"expected a plain name, got '{printable(text, 60)}', which {reason}")
    return text


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """Function of a text for whole numbers of a range, its ends included."""

    def number(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            shown = printable(text, 40)
            raise argparse.ArgumentTypeError(f"expected a whole number from {low} to {high}, got '{shown}'")
        return value

    return number


def number_within(low: float, high: float) -> Callable[[str], float]:
    """Function of a text for numbers of a range, its ends included."""

    def value_of(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not low <= value <= high:
            shown = printable(text, 40)
            raise argparse.ArgumentTypeError(f"expected a number from {low:g} to {high:g}, got '{shown}'")
        return value

    return value_of


processes = whole_number(1, MAX_PROCESSES)
"""Of a number of processes."""

spacing = number_within(*SPACING_MM)
"""Of a voxel's size along an axis, mm."""
