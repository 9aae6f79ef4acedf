"""Reading and writing what steps hand on: whole files or none, hashes, provenance."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from soars_nnunet import __version__
from soars_nnunet.errors import MissingArtifactError


@contextmanager
def replacing(path: Path) -> Any:
    """Context that yields a temporary path beside ``path`` and renames it on success; nothing stays on failure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stem, dot, ending = path.name.partition(".")
    temporary = path.with_name(f".{stem}.{os.getpid()}{dot}{ending}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_staging(folder: Path) -> Iterator[Path]:
    """Context that yields an empty folder beside ``folder`` to fill and ``publish``; nothing stays on failure."""
    staging = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def publish(staging: Path, folder: Path) -> None:
    """Rename a finished staging folder to its place; a former one is removed only then."""
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    staging.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        MissingArtifactError: If it is absent or not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise MissingArtifactError(f"expected the file {path}, found none") from error
    except ValueError as error:  # also text that is not UTF-8
        raise MissingArtifactError(f"{path} is not valid JSON ({error}); delete it and rerun its step") from error


def write_json(path: Path, data: Any) -> None:
    """Write JSON under a temporary name, then rename."""
    with replacing(Path(path)) as temporary:
        temporary.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def provenance() -> dict[str, str]:
    """Versions that shaped an artifact."""
    return {"soars_nnunet": __version__, **{name: version(name) for name in ("nnunetv2", "torch", "SimpleITK")}}


def json_hash(data: Any) -> str:
    """SHA-256 of a JSON-able value, independent of key order."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
