"""Tables as data, and their Markdown and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LATEX_COMMANDS = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
"""Characters that LaTeX has no backslash form of."""


@dataclass(frozen=True)
class Heading:
    """A text above one or more columns.

    Attributes:
        text: What it says.
        span: Columns below it.
    """

    text: str
    span: int = 1


@dataclass(frozen=True)
class Table:
    """A table before it is written.

    Attributes:
        title: Caption.
        heads: Rows of the heading, each over all columns.
        rows: Cells; as many as the heading has columns.
        best: (row, column) of bold cells.
        notes: Sentences below the table.
    """

    title: str
    heads: tuple[tuple[Heading, ...], ...]
    rows: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def columns(self) -> int:
        """Number of columns."""
        return sum(heading.span for heading in self.heads[0])

    def markdown(self) -> str:
        """Markdown; the rows of the heading are joined column by column."""
        lines = [
            f"**{self.title}**",
            "",
            _markdown_row(self._column_names()),
            "|---" * self.columns + "|",
        ]
        for number, row in enumerate(self.rows):
            cells = []
            for column, cell in enumerate(row):
                cells.append(f"**{cell}**" if (number, column) in self.best else cell)
            lines.append(_markdown_row(cells))
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines)

    def latex(self) -> str:
        r"""LaTeX table environment; needs ``\usepackage{booktabs}``."""
        caption = " ".join((self.title + ".", *self.notes))
        lines = [
            r"\begin{table}[t]",
            r"\centering",
            rf"\caption{{{_latex(caption)}}}",
            rf"\begin{{tabular}}{{l{'c' * (self.columns - 1)}}}",
            r"\toprule",
        ]
        for head in self.heads:
            lines.append(_latex_row([_latex_heading(heading) for heading in head]))
        lines.append(r"\midrule")
        for number, row in enumerate(self.rows):
            cells = []
            for column, cell in enumerate(row):
                bold = (number, column) in self.best
                cells.append(rf"\textbf{{{_latex(cell)}}}" if bold else _latex(cell))
            lines.append(_latex_row(cells))
        lines += [r"\bottomrule", r"\end{tabular}", r"\end{table}"]
        return "\n".join(lines)

    def _column_names(self) -> list[str]:
        """One text a column: what the rows of the heading say above it."""
        parts: list[list[str]] = [[] for _ in range(self.columns)]
        for head in self.heads:
            column = 0
            for heading in head:
                for covered in parts[column : column + heading.span]:
                    covered.append(heading.text)
                column += heading.span
        return [" ".join(filter(None, texts)) for texts in parts]


def plain_head(texts: Sequence[str]) -> tuple[Heading, ...]:
    """A row of the heading with one text a column."""
    return tuple(Heading(text) for text in texts)


def render(tables: Sequence[Table]) -> dict[str, str]:
    """Texts of all tables by file ending, ``md`` and ``tex``."""
    markdown = "\n\n".join(table.markdown() for table in tables)
    latex = "\n\n".join(table.latex() for table in tables)
    return {
        "md": f"{markdown}\n",
        "tex": f"% needs \\usepackage{{booktabs}}\n\n{latex}\n",
    }


def _markdown_row(cells: Sequence[str]) -> str:
    safe = [cell.replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(safe)} |"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_heading(heading: Heading) -> str:
    text = _latex(heading.text)
    return text if heading.span == 1 else rf"\multicolumn{{{heading.span}}}{{c}}{{{text}}}"


def _latex(text: str) -> str:
    """Text with what LaTeX takes for commands escaped."""
    escaped = re.sub(r"[\\{}$&#%_~^]", _escape_latex, text)
    return escaped.replace("±", r"$\pm$")


def _escape_latex(match: re.Match[str]) -> str:
    character = match[0]
    return LATEX_COMMANDS.get(character, "\\" + character)
