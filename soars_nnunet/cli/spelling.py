"""How options are typed, for usage lines and for the reference page."""

from __future__ import annotations

import argparse


def usage_of(parser: argparse.ArgumentParser) -> str:
    """Usage with what must be given; everything else is ``[options]``."""
    words = [parser.prog]
    for group in parser._mutually_exclusive_groups:
        if group.required:
            alternatives = [spelling_of(action) for action in group._group_actions]
            words.append(f"({' | '.join(alternatives)})")
    for action in parser._actions:
        if action.required:
            words.append(spelling_of(action))
    words.append("[options]")
    return " ".join(words)


def spelling_of(action: argparse.Action, option: str | None = None) -> str:
    """How an option or argument is typed, for example ``--spacing Z Y X``.

    Args:
        action: One of a parser's.
        option: Which of its option strings; None for the first.
    """
    value = _value_of(action)
    if not action.option_strings:
        return value
    return f"{option or action.option_strings[0]} {value}".rstrip()


def _value_of(action: argparse.Action) -> str:
    """Placeholder of the value or values; empty for a switch."""
    if action.nargs == 0:
        return ""
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    value = action.metavar or action.dest.upper()
    if action.metavar is None and action.choices is not None:
        value = "{" + ",".join(action.choices) + "}"
    return f"{value} ..." if action.nargs == "+" else value
