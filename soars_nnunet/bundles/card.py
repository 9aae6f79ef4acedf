"""The model card of a bundle, with the six headings of AID-RT: as data, as JSON and as Markdown.

AID-RT is the model card of the ESTRO Physics Workshop 2023: Barragan-Montero et al., Physics and Imaging in Radiation
Oncology 2026, doi:10.1016/j.phro.2026.100940. The entries and their defaults are in ``plans/card.json``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from soars_nnunet.evaluation.mean_std import format_number
from soars_nnunet.evaluation.tables import Table, plain_head

CARD_FORMAT = "soars-card"
CARD_FORMAT_VERSION = 1

Text = str | tuple[str, ...]
"""What an entry says: one text, or a list."""


@dataclass(frozen=True)
class Estimate:
    """A mean over cases and its 95 % interval.

    Attributes:
        mean: None without cases.
        low: Lower end; None where there are too few patients for an interval.
        high: Upper end.
    """

    mean: float | None
    low: float | None
    high: float | None


Cell = str | int | float | tuple[float, ...] | tuple[str, ...] | Estimate | None
"""A value in a table; None where there is none."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: In the JSON.
        heading: In the Markdown, with the unit.
        digits: Decimals of numbers that are no counts.
    """

    key: str
    heading: str
    digits: int = 0


@dataclass(frozen=True)
class CardTable:
    """A table of a section.

    Attributes:
        key: In the JSON.
        title: Above the table.
        columns: From left to right.
        rows: Values by column.
        notes: Sentences below the table.
    """

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Title, notes and a dict a row; numbers are not rounded."""
        rows = []
        for row in self.rows:
            cells = {}
            for column, cell in zip(self.columns, row, strict=True):
                cells[column.key] = _json_cell(cell)
            rows.append(cells)
        return {"title": self.title, "rows": rows, "notes": list(self.notes)}

    def markdown(self) -> str:
        """The table as Markdown, with the title in front."""
        rows = []
        for row in self.rows:
            cells = [_text_cell(cell, column.digits) for column, cell in zip(self.columns, row, strict=True)]
            rows.append(tuple(cells))
        head = plain_head([column.heading for column in self.columns])
        return Table(self.title, (head,), tuple(rows), notes=self.notes).markdown()


@dataclass(frozen=True)
class CardEntry:
    """A line of a section.

    Attributes:
        key: In the JSON.
        label: In the Markdown.
        text: What it says.
    """

    key: str
    label: str
    text: Text


@dataclass(frozen=True)
class CardSection:
    """What stands under one of the six headings.

    Attributes:
        key: In the JSON.
        title: The heading.
        entries: Lines, in order.
        tables: Below the lines.
    """

    key: str
    title: str
    entries: tuple[CardEntry, ...]
    tables: tuple[CardTable, ...] = ()


@dataclass(frozen=True)
class Card:
    """A model card.

    Attributes:
        name: Of the bundle.
        sections: Six, in AID-RT's order.
    """

    name: str
    sections: tuple[CardSection, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything as JSON: by section its title, its entries by key and its tables by key."""
        sections = {}
        for section in self.sections:
            entries = {}
            for entry in section.entries:
                entries[entry.key] = entry.text if isinstance(entry.text, str) else list(entry.text)
            tables = {table.key: table.to_json() for table in section.tables}
            sections[section.key] = {"title": section.title, "entries": entries, "tables": tables}
        return {
            "format": CARD_FORMAT,
            "format_version": CARD_FORMAT_VERSION,
            "name": self.name,
            "sections": sections,
        }

    def markdown(self) -> str:
        """Everything as Markdown, for people."""
        parts = [f"# Model card: {_plain(self.name)}"]
        for section in self.sections:
            parts.append(f"## {section.title}")
            if section.entries:
                parts.append("\n".join(_entry_lines(section.entries)))
            for table in section.tables:
                parts.append(table.markdown())
        return "\n\n".join(parts) + "\n"


def _entry_lines(entries: Sequence[CardEntry]) -> list[str]:
    lines = []
    for entry in entries:
        if isinstance(entry.text, str):
            lines.append(f"- **{entry.label}:** {_plain(entry.text)}")
            continue
        lines.append(f"- **{entry.label}:**")
        for text in entry.text:
            lines.append(f"  - {_plain(text)}")
    return lines


def _plain(text: str) -> str:
    """A text on one line, in which no HTML is left: cards are shown by programs that would run it."""
    return " ".join(text.split()).replace("<", "&lt;")


def _json_cell(cell: Cell) -> Any:
    if isinstance(cell, Estimate):
        return asdict(cell)
    return list(cell) if isinstance(cell, tuple) else cell


def _text_cell(cell: Cell, digits: int) -> str:
    if isinstance(cell, Estimate):
        mean = format_number(cell.mean, digits)
        if cell.low is None or cell.high is None:
            return mean
        return f"{mean} ({format_number(cell.low, digits)} to {format_number(cell.high, digits)})"
    if isinstance(cell, tuple):
        separator = " " if any(isinstance(one, str) for one in cell) else " x "
        return separator.join(f"{one:g}" if isinstance(one, float) else str(one) for one in cell)
    if isinstance(cell, float):
        return format_number(cell, digits)
    return "-" if cell is None else _plain(str(cell))
