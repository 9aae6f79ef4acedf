"""CSV and JSON text of tables, and writing several forms of one table into a folder."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.storage import replacing
from soars_nnunet.errors import InputError


def csv_text(kind: type, rows: Iterable[Any]) -> str:
    """CSV with a column per field of a dataclass and a row per instance; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [entry.name for entry in fields(kind)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(as_dicts(rows))
    return text.getvalue()


def as_dicts(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """JSON-able form of dataclass instances."""
    return [asdict(row) for row in rows]


def json_text(document: Any) -> str:
    """JSON text with a final line break; NaN is refused."""
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def write_texts(output: Path, stem: str, contents: Mapping[str, str]) -> list[Path]:
    """Write texts by ending into a folder, each under a temporary name first.

    Args:
        output: Folder; made if it does not exist.
        stem: File name without ending.
        contents: Text by ending.

    Returns:
        The paths, in the order of the texts.

    Raises:
        InputError: If the folder cannot be written.
    """
    paths = []
    try:
        for ending, content in contents.items():
            path = output / f"{stem}.{ending}"
            with replacing(path) as temporary:
                temporary.write_text(content, encoding="utf-8", newline="")
            paths.append(path)
    except OSError as error:
        raise InputError(f"expected a folder to write to, got {output} ({error}); choose another output") from error
    return paths
