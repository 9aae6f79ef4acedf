"""What long work says of itself, a line at a time."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str], None]
"""Receives one line of text without its end of line; what it does with it is its own affair."""


def silent(text: str) -> None:
    """A ``Progress`` that says nothing: the default wherever one is taken."""
