"""The regular expression of patients in a bundle: one that no case name can keep busy for long."""

from __future__ import annotations

import re

from soars_nnunet.bundles.node import Node

MAX_PATTERN = 100

MAX_CHOICES = 3
"""Quantifiers and alternatives: with three, a name of 255 signs is searched in seconds at worst."""

ADVICE = "ask its maker to stratify with a simpler --patient-pattern, such as '^(P\\d+)_'"


def patient_pattern(node: Node) -> str | None:
    """Check a pattern and return it; None for null.

    Matching a regular expression may take time that grows exponentially, from quantifiers within quantifiers, or many
    alternatives. Here groups cannot be repeated, and choices are few.

    Raises:
        MissingArtifactError: If it is no such pattern.
    """
    if node.value is None:
        return None
    pattern = node.text(most=MAX_PATTERN)
    problem = _problem(pattern)
    if problem:
        node.refuse("a simple regular expression with one group", f"{problem} in {pattern!r}", ADVICE)
    return pattern


def _problem(pattern: str) -> str | None:
    """What is wrong with a pattern, None if nothing is."""
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
    try:
        groups = re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError):
        return "not a regular expression"
    return None if groups == 1 else f"{groups} groups"
