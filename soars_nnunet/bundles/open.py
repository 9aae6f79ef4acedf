"""Opening a bundle by its name or path."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from soars_nnunet.bundles.bundle import MAX_JSON, Bundle
from soars_nnunet.bundles.container import refusal
from soars_nnunet.bundles.places import find_bundle
from soars_nnunet.cascade.record import MANIFEST

ZIP_SUFFIX, ZIP_START = ".zip", b"PK"

OF_TRAINING = ("profile", "branches", "targets")
"""Keys of a training's manifest; a bundle's has them further down."""


def open_bundle(name_or_path: str | Path) -> Bundle:
    """Open a bundle; loads no torch until weights are read.

    Args:
        name_or_path: Name of a shipped or installed bundle; or path of a bundle's folder, of its ``manifest.json``, or
            of its zip.

    Raises:
        MissingArtifactError: If there is no such bundle, or it is damaged.
    """
    path = find_bundle(name_or_path)
    _require_bundle(path)
    return Bundle(path)


def _require_bundle(path: Path) -> None:
    """Refuse a folder that is no bundle at all, before its files are called odd ones of a bundle.

    Raises:
        MissingArtifactError: If it is a training's, or has no manifest.
    """
    if not path.is_dir():
        return
    if not os.path.lexists(path / MANIFEST):
        raise refusal(str(path), f"the file {MANIFEST}", "none", "name a bundle's folder or zip")
    data = _read(path / MANIFEST)
    if set(OF_TRAINING) <= set(data) and "format" not in data:
        advice = "name it with -m, or pack it with soars-bundle make"
        raise refusal(str(path), "a bundle", "what a training left", advice)


def is_bundle(path: Path) -> bool:
    """Whether a path means a bundle rather than what a training left; it may be a damaged one."""
    file = path / MANIFEST if path.is_dir() else path
    if not file.is_file():
        return False
    if path.suffix == ZIP_SUFFIX or _starts_with(file, ZIP_START):
        return True
    return "format" in _read(file)


def _read(file: Path) -> dict[str, Any]:
    """A JSON object out of a file; empty if it holds something else, or is larger than a manifest."""
    if not file.is_file() or file.stat().st_size > MAX_JSON:
        return {}
    try:
        data = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _starts_with(file: Path, start: bytes) -> bool:
    with open(file, "rb") as opened:
        return opened.read(len(start)) == start
