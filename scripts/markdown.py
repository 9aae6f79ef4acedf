"""Markdown tables."""

from collections.abc import Iterable, Sequence


def row(cells: Iterable[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


def table(header: Sequence[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of a table: its header, the rule, its rows."""
    lines = heading(header)
    for cells in rows:
        lines.append(row(cells))
    return lines


def heading(header: Sequence[str]) -> list[str]:
    """The first two lines of a table whose rows follow one by one."""
    return [row(header), "|---" * len(header) + "|"]
