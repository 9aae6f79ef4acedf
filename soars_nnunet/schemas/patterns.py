"""Regular expressions that find the patient in a case name: none that a name can keep busy for long.

Python's ``re`` goes back and tries again, which may take time that grows exponentially with the name. A bundle may
bring a pattern of a simple form alone. What a user gives or a training recorded may be any that is quick: one that is
not of the simple form is tried in a process of its own, which is ended if it takes too long.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import lru_cache

from soars_nnunet.schemas.node import Node

MAX_PATTERN = 100
"""Signs of a bundle's pattern."""

MAX_USER_PATTERN = 500

MAX_CHOICES = 3
"""Quantifiers and alternatives: with three, a name of 255 signs is searched in seconds at worst."""

MAX_SECONDS = 5.0
"""For all names together; a quick pattern takes milliseconds."""

ADVICE = "ask its maker to stratify with a simpler --patient-pattern, such as '^(P\\d+)_'"

SIMPLER = "give a simpler one, such as '^(P\\d+)_'"

TRY = (
    "import json, re, sys\n"
    "pattern, names = json.load(sys.stdin)\n"
    "compiled = re.compile(pattern)\n"
    "for name in names: compiled.search(name)\n"
)
"""What the process does."""

RUN = 60
"""Length of a run of one sign that a pattern is tried on: exponential time shows from 30 on."""


def check_simple_pattern(node: Node) -> None:
    """Check the pattern of a bundle: null, or one of the simple form.

    Groups cannot be repeated, and choices are few.

    Raises:
        FaultError: If it is no such pattern.
    """
    if node.value is None:
        return
    pattern = node.text(most=MAX_PATTERN)
    problem = _more_than_simple(pattern) or syntax_problem(pattern)
    if problem:
        node.refuse("a simple regular expression with one group", f"{problem} in {pattern!r}", ADVICE)


def check_quick_pattern(node: Node) -> None:
    """Check the pattern of a training: null, or one that is quick.

    Raises:
        FaultError: If it is no such pattern.
    """
    if node.value is None:
        return
    pattern = node.text(most=MAX_USER_PATTERN)
    problem = pattern_problem(pattern, ())
    if problem:
        node.refuse("a regular expression whose first group is the patient", f"{pattern!r}, which {problem}", ADVICE)


@lru_cache(maxsize=64)
def pattern_problem(pattern: str, names: tuple[str, ...]) -> str | None:
    """Why a pattern cannot be used, in words that follow it; None if it can.

    Args:
        pattern: Regular expression; its first group is the patient.
        names: Case names that it is to be used on. It is tried on long names made for it as well.
    """
    if len(pattern) > MAX_USER_PATTERN:
        return f"has {len(pattern)} signs, at most {MAX_USER_PATTERN} are taken"
    problem = syntax_problem(pattern)
    if problem:
        return f"is {problem}"
    if not _more_than_simple(pattern):
        return None
    return None if _is_quick(pattern, [*names, *_hard_names(pattern)]) else f"takes more than {MAX_SECONDS:g} s"


def syntax_problem(pattern: str) -> str | None:
    """What a pattern is instead of a regular expression with a group; None if it is one."""
    try:
        groups = re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError) as error:
        reason = str(error).splitlines()[0] if isinstance(error, re.error) else "too large"
        return f"not a regular expression ({reason})"
    return None if groups else "without a group: 0 groups"


def _more_than_simple(pattern: str) -> str | None:
    """What a pattern has that the simple form has not; None if nothing."""
    plain = re.sub(r"\\[dwsDWSb.\-_]", "a", pattern)  # what an escape stands for does not matter
    if "\\" in plain:
        return "an escape other than \\d, \\w, \\s, \\b, \\., \\- and \\_"
    plain = re.sub(r"\[\^?\]?[^\[\]]*\]", "a", plain)  # a class is one sign
    if "[" in plain or "]" in plain:
        return "brackets in a class"
    plain = re.sub(r"\(\?:", "(", plain)
    if "(?" in plain:
        return "a group that looks ahead or back, or is named"
    if re.search(r"\)[*+?{]", plain):
        return "a repeated group"
    choices = len(re.findall(r"[*+?{]\??|\|", re.sub(r"\{\d{1,3}\}", "", plain)))
    if choices > MAX_CHOICES:
        return f"{choices} quantifiers and alternatives, at most {MAX_CHOICES} are allowed"
    if plain.count("(") > 1 and re.compile(pattern).groups > 1:
        return f"{re.compile(pattern).groups} groups"
    return None


def _hard_names(pattern: str) -> list[str]:
    """Long names of signs that the pattern may repeat, with ends that it does not expect."""
    signs = sorted({*re.sub(r"\\.", "", pattern), *"aA0_- "})
    words = re.findall(r"[A-Za-z0-9_]{2,}", pattern)
    names = []
    for part in [*signs, *words, "a0", "0_", "a_", "a-"]:
        run = (part * RUN)[: 4 * RUN]
        names += [run, f"{run}!", f"{run}\n"]
    return names


def _is_quick(pattern: str, names: Sequence[str]) -> bool:
    """Whether a process of its own searches all names in time."""
    command = [sys.executable, "-I", "-S", "-c", TRY]
    try:
        done = subprocess.run(
            command, input=json.dumps([pattern, names]), text=True, capture_output=True, timeout=MAX_SECONDS
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
