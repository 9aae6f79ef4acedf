"""The HTML page: escaping, tables, inline pictures, and writing it to a file."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from soars_nnunet import __version__
from soars_nnunet.cascade.storage import replacing
from soars_nnunet.errors import InputError

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; connect-src data: blob:; worker-src blob:"
)
"""Content security policy: the browser refuses whatever would leave the file."""

DPI = 90

MARK = "<footer>soars_nnunet "
"""In every page, by which it is known for one of ours."""

NUMBER_STARTS = frozenset("-+.0123456789")
"""First characters of cells that are set as numbers."""


class Markup(str):
    """Text that is HTML already; every other string is escaped."""


Cell = str | int | float | None
"""What a table or a list of facts shows; None is a dash."""


def escape(value: Cell) -> Markup:
    """HTML of a value: markup as it is, None as a dash, anything else escaped."""
    if isinstance(value, Markup):
        return value
    return Markup("–" if value is None else html.escape(str(value)))


def table(header: Sequence[Cell], rows: Iterable[Sequence[Cell]], caption: str = "") -> Markup:
    """A table whose first column is a row header.

    Args:
        header: Column titles.
        rows: Cells; None is a dash.
        caption: Text above the table.

    Returns:
        HTML; only the header if there are no rows.
    """
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join(_row(row) for row in rows)
    return Markup(f'<div class="wide"><table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def _row(cells: Sequence[Cell]) -> str:
    name = f'<th scope="row">{escape(cells[0])}</th>'
    others = "".join(_cell(cell) for cell in cells[1:])
    return f"<tr>{name}{others}</tr>"


def _cell(value: Cell) -> str:
    numeric = not isinstance(value, str) or value[:1] in NUMBER_STARTS
    return f"<td>{escape(value)}</td>" if numeric else f'<td class="text">{escape(value)}</td>'


def section(title: str, parts: Sequence[str], note: str = "") -> Markup:
    """A section with a heading, an explaining line and its parts (HTML)."""
    explained = f'<p class="note">{escape(note)}</p>' if note else ""
    return Markup(f"<section><h2>{escape(title)}</h2>{explained}{''.join(parts)}</section>")


def facts(pairs: Mapping[str, Cell]) -> Markup:
    """A list of names and values; pairs whose value is None, 0 or empty are left out."""
    items = ""
    for name, value in pairs.items():
        if value:
            items += f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
    return Markup(f"<dl>{items}</dl>")


def picture(figure: Figure, alternative: str, caption: str = "") -> Markup:
    """A matplotlib figure as an inline PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor=figure.get_facecolor())
    data = base64.b64encode(buffer.getvalue()).decode()
    below = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return Markup(f'<figure><img alt="{escape(alternative)}" src="data:image/png;base64,{data}">{below}</figure>')


def json_script(name: str, data: Any) -> Markup:
    """Data for the page's script, safe inside HTML whatever the names in it."""
    text = json.dumps(data, ensure_ascii=True).replace("<", "\\u003c").replace("&", "\\u0026")
    return Markup(f'<script type="application/json" id="{escape(name)}">{text}</script>')


def package_text(name: str) -> str:
    """Text of a file shipped beside this module."""
    return (resources.files("soars_nnunet.html_report") / name).read_text(encoding="utf-8")


def settings() -> dict[str, Any]:
    """Metric titles, windows and colours of the reports (``plans/report.json``)."""
    return json.loads((resources.files("soars_nnunet.plans") / "report.json").read_text(encoding="utf-8"))


def page(title: str, parts: Iterable[str], tail: str = "") -> str:
    """The whole document.

    Args:
        title: Of the page, escaped here.
        parts: Sections, as HTML.
        tail: Scripts at the end of the body, as HTML.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{package_text('page.css')}</style></head>\n<body>"
        f"<main><h1>{escape(title)}</h1>\n" + "\n".join(parts) + "</main>\n"
        f"{MARK}{__version__}. Research software, not a medical device: contours need a "
        f"clinician's review.</footer>\n{tail}</body></html>\n"
    )


def write_page(path: Path, text: str) -> float:
    """Write a page under a temporary name, then rename.

    Returns:
        Size in MB.

    Raises:
        InputError: If it cannot be written there, or a file lies there that is no such page.
    """
    if path.is_dir():
        raise InputError(f"-o {path}: expected an HTML file to write, got a folder; name a file in it")
    if path.is_file() and MARK.encode() not in path.read_bytes():
        raise InputError(f"-o {path}: expected no file there, or an earlier page, got another file; name another one")
    try:
        with replacing(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"-o {path}: expected a file that can be written ({error}); name another one") from error
    return path.stat().st_size / 1e6
