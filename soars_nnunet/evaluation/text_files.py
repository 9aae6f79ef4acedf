"""CSV and JSON text of tables, and writing several forms of one table into a folder."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.storage import file_hash, replacing
from soars_nnunet.errors import InputError
from soars_nnunet.schemas.printable import cell

PACKAGE = "soars_nnunet"
"""Named by the provenance of all results."""


def csv_text(kind: type, rows: Iterable[Any]) -> str:
    """CSV with a column per field of a dataclass and a row per instance; None is an empty cell.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, [entry.name for entry in fields(kind)], lineterminator="\n")
    writer.writeheader()
    for row in as_dicts(rows):
        writer.writerow({name: cell(value) for name, value in row.items()})
    return text.getvalue()


def as_dicts(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """JSON-able form of dataclass instances."""
    return [asdict(row) for row in rows]


def json_text(document: Any) -> str:
    """JSON text with a final line break; NaN is refused."""
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def write_texts(
    output: Path, stem: str, contents: Mapping[str, str], document: Mapping[str, Any] | None = None
) -> list[Path]:
    """Write texts by ending into a folder, each under a temporary name first.

    Args:
        output: Folder; made if it does not exist.
        stem: File name without ending.
        contents: Text by ending.
        document: With ``provenance``; also written, as JSON, and before the texts. It then holds their hashes under
            ``files``, by which a later run knows which of the files are its own to overwrite.

    Returns:
        The paths, in the order of the texts; the JSON second.

    Raises:
        InputError: If the folder cannot be written, or, with a document, holds a file of such a name that is no
            earlier result or was changed since.
    """
    paths = [output / f"{stem}.{ending}" for ending in contents]
    try:
        if document is not None:
            file = output / f"{stem}.json"
            _require_own(file, paths)
            _write(file, json_text({**document, "files": _hashes(paths, contents)}))
        for path, content in zip(paths, contents.values(), strict=True):
            _write(path, content)
    except OSError as error:
        raise InputError(f"expected a folder to write to, got {output} ({error}); choose another output") from error
    return paths if document is None else [paths[0], file, *paths[1:]]


def _write(path: Path, content: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(content, encoding="utf-8", newline="")


def _hashes(paths: Iterable[Path], contents: Mapping[str, str]) -> dict[str, list[str]]:
    """By file name the hash that it will have, and the one that it has, which an interruption may leave there."""
    hashes = {}
    for path, content in zip(paths, contents.values(), strict=True):
        known = [hashlib.sha256(content.encode("utf-8")).hexdigest()]
        if path.is_file() and file_hash(path) not in known:
            known.append(file_hash(path))
        hashes[path.name] = known
    return hashes


def _require_own(file: Path, others: Iterable[Path]) -> None:
    """Check that files are those of an earlier run, as its JSON says.

    Raises:
        InputError: If one is not.
    """
    recorded: dict[str, Any] | None = _recorded(file) if file.is_file() else None
    for path in others:
        if not path.is_file():
            continue
        known = None if recorded is None else recorded.get(path.name, [file_hash(path)])
        if known is None or file_hash(path) not in known:
            what = "a file of another origin" if known is None else "one that was changed since"
            raise InputError(
                f"{path}: expected no file there, or an earlier result, got {what}; move it or name another -o"
            )


def _recorded(file: Path) -> dict[str, Any]:
    """Hashes by name that an earlier result holds; empty in those of earlier versions.

    Raises:
        InputError: If it is no such result.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:  # also text that is not UTF-8
        document = None
    made_by = document.get("provenance") if isinstance(document, dict) else None
    if not isinstance(made_by, dict) or not (made_by.get("package") == PACKAGE or PACKAGE in made_by):
        raise InputError(
            f"{file}: expected no file there, or an earlier result, got another; move it or name another -o"
        )
    recorded = document.get("files")
    return recorded if isinstance(recorded, dict) else {}
