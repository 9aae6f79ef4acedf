"""Opening a bundle by its name or path."""

from __future__ import annotations

import json
from pathlib import Path

from soars_nnunet.bundles.bundle import MAX_JSON, Bundle
from soars_nnunet.bundles.places import find_bundle
from soars_nnunet.cascade.record import MANIFEST


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
    if path.is_file() and path.name != MANIFEST:
        return True
    manifest = path / MANIFEST if path.is_dir() else path
    if not manifest.is_file() or manifest.stat().st_size > MAX_JSON:
        return False
    try:
        data = json.loads(manifest.read_bytes())
    except (ValueError, RecursionError):
        return False
    return isinstance(data, dict) and "format" in data
