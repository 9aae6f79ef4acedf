"""Opening a bundle by its name or path."""

from __future__ import annotations

import json
from pathlib import Path

from soars_nnunet.bundles.bundle import MAX_JSON, Bundle
from soars_nnunet.bundles.places import find_bundle
from soars_nnunet.cascade.record import MANIFEST

ZIP_SUFFIX, ZIP_START = ".zip", b"PK"


def open_bundle(name_or_path: str | Path) -> Bundle:
    """Open a bundle; loads no torch until weights are read.

    Args:
        name_or_path: Name of a shipped or installed bundle; or path of a bundle's folder, of its ``manifest.json``, or
            of its zip.

    Raises:
        MissingArtifactError: If there is no such bundle, or it is damaged.
    """
    return Bundle(find_bundle(name_or_path))


def is_bundle(path: Path) -> bool:
    """Whether a path means a bundle rather than what a training left; it may be a damaged one."""
    file = path / MANIFEST if path.is_dir() else path
    if not file.is_file():
        return False
    if path.suffix == ZIP_SUFFIX or _starts_with(file, ZIP_START):
        return True
    if file.stat().st_size > MAX_JSON:
        return False
    try:
        data = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and "format" in data


def _starts_with(file: Path, start: bytes) -> bool:
    with open(file, "rb") as opened:
        return opened.read(len(start)) == start
