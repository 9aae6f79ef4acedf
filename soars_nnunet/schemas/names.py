"""Which names files, cases, datasets, plans, organs and profiles may have, on any system."""

from __future__ import annotations

import re
from collections.abc import Iterable

PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
"""Of a bundle's file: no folder, drive, space, dot at either end, or sign that a terminal acts on."""

MAX_NAME = 100

RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
"""Names that mean devices on Windows."""

SEPARATORS = "/\\\0"
"""What a name that becomes part of a path must not hold."""

MAX_FILE_NAME = 200
"""Bytes of a name that becomes a file's, in UTF-8: file systems take 255, endings and temporary names need some."""

OF_RESULTS = ("dataset", "evaluation", "summary", "predict_from_raw_data_args", "plans")
"""Names that other files of an output folder have: a case ``evaluation`` would write ``evaluation.json`` over them."""


def is_plain_name(name: str) -> bool:
    """Whether a file of a bundle may have this name, on any system."""
    return len(name) <= MAX_NAME and PLAIN_NAME.fullmatch(name) is not None and RESERVED.fullmatch(name) is None


def name_problem(name: object) -> str | None:
    """Why something cannot be part of a file's name, in words that follow the name; None if it can."""
    if not isinstance(name, str):
        return "is no text"
    if not name.strip():
        return "is empty"
    if any(sign in name for sign in SEPARATORS) or name in (".", ".."):
        return "is a path"
    if not name.isprintable():
        return "has signs that cannot be shown"
    if len(name.encode("utf-8", "surrogatepass")) > MAX_FILE_NAME:
        return f"is longer than {MAX_FILE_NAME} bytes"
    return None


def case_problem(name: object) -> str | None:
    """Why a case cannot have a name, in words that follow the name; None if it can."""
    problem = name_problem(name)
    if problem or not isinstance(name, str):
        return problem
    if name.startswith("."):
        return "is a hidden file's"
    if name.lower() in OF_RESULTS:
        return f"is that of a file of results ({name.lower()}.json)"
    if re.fullmatch(r"_\d{4}", name):
        return "is that of a channel alone"
    return None


def same_on_some_systems(names: Iterable[str]) -> list[tuple[str, str]]:
    """Pairs of names that differ by capitals alone, and are one file on Windows and macOS; empty without any."""
    pairs = []
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            pairs.append((other, name))
    return pairs
