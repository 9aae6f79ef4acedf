"""Reading and writing what steps hand on: whole files or none, hashes, provenance.

Nothing else in the package writes a file in place: ``replacing`` writes one file, ``new_staging`` and ``publish`` a
folder of them. What lies under the final name is whole, also after a power cut.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from typing import Any

from soars_nnunet import __version__
from soars_nnunet.cascade.temporary import remove_abandoned, temporary_beside
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.json_text import JsonTextError, read_json_file

DEPENDENCIES = ("nnunetv2", "torch", "SimpleITK")
"""Packages whose versions go into the provenance."""

NO_FLUSH = (errno.EBADF, errno.EINVAL, errno.ENOTSUP, errno.EROFS)
"""Error numbers by which some network file systems say that they do not flush files, or folders."""

REMEDIES = (
    ("soars_cascade.json", "run soars-stratify"),
    ("soars_options_*.json", "delete it, and run soars-plan with all its options"),
    ("splits_final.json", "restore it, or run soars-stratify and soars-plan"),
    ("unannotated.json", "run soars-plan"),
    ("manifest.json", "restore it, or run soars-plan"),
    ("postprocessing.json", "delete it, and run soars-cross-validate"),
    ("targets.json", "delete its folder, and run soars-channels"),
    ("provenance.json", "delete its folder, and run soars-channels"),
    ("made_from.json", "delete it, and run soars-plan"),
    ("import_report.json", "delete it, and run soars-import"),
    ("*Plans*.json", "run soars-plan"),
    ("plans.json", "restore it, or train again"),
    ("*", "restore it, or delete it and run the command that writes it"),
)
"""What to do about a damaged or absent file, by the first pattern that its name is like."""


@contextmanager
def replacing(path: Path, check: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """Context that yields a temporary path beside ``path``: flushed to the disk, checked and renamed on success.

    On failure nothing of it stays, and ``path`` is what it was before. The folder is made if need be. What killed runs
    left in it under temporary names is removed.

    Args:
        path: Of the file.
        check: Reads what was written and raises if it is not what it should be; None for no check.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent)
    temporary = temporary_beside(path)
    try:
        yield temporary
        _flush_file(temporary)
        if check is not None:
            check(temporary)
        os.replace(temporary, path)
        _flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_staging(folder: Path) -> Iterator[Path]:
    """Context that yields an empty folder beside ``folder`` to fill and ``publish``; nothing stays on failure."""
    remove_leftovers(folder)
    staging = folder.with_name(f".{folder.name}.partial")
    staging.mkdir(parents=True)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what a run that was killed while it staged or published a folder has left beside it."""
    shutil.rmtree(folder.with_name(f".{folder.name}.partial"), ignore_errors=True)
    if folder.exists():
        shutil.rmtree(folder.with_name(f".{folder.name}.old"), ignore_errors=True)


def publish(staging: Path, folder: Path) -> None:
    """Flush a finished staging folder to the disk and rename it to its place; an old one is removed only then."""
    for path in staging.rglob("*"):
        if path.is_dir():
            _flush_folder(path)
        else:
            _flush_file(path)
    _flush_folder(staging)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    staging.rename(folder)
    _flush_folder(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def _flush_file(path: Path) -> None:
    """Have the system write a file's content to the disk."""
    mode = os.O_RDWR if os.name == "nt" else os.O_RDONLY  # Windows flushes only what is open for writing
    _flush(os.open(path, mode))


def _flush_folder(folder: Path) -> None:
    """Have the system write a folder's names to the disk; Windows opens no folder and does so by itself."""
    if os.name == "nt":
        return
    _flush(os.open(folder, os.O_RDONLY))


def _flush(descriptor: int) -> None:
    """Flush what was opened, and close it.

    Raises:
        OSError: If the disk is full or fails; not if the file system knows no flush.
    """
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_FLUSH:
            raise
    finally:
        os.close(descriptor)


def read_json(path: Path, remedy: str = "") -> Any:
    """Parse a JSON file that a step wrote; ``read_user_json`` is for what the user wrote.

    Args:
        path: Of the file.
        remedy: What to do if it is damaged or absent, as ``run soars-plan``; empty for what ``REMEDIES`` says.

    Raises:
        MissingArtifactError: If it is absent or not JSON; names line and column, and the command that writes it.
    """
    path = Path(path)
    advice = remedy or _remedy(path)
    try:
        return read_json_file(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingArtifactError(f"expected the file {path}, found none; {advice}") from error
    except JsonTextError as error:
        raise MissingArtifactError(f"{path} is not valid JSON: {error}; {advice}") from error
    except OSError as error:
        raise MissingArtifactError(
            f"{path} cannot be read: {error.strerror or error}; check its permissions"
        ) from error


def read_object(path: Path, remedy: str = "") -> dict[str, Any]:
    """Parse a JSON file of a step that holds an object; see ``read_json``.

    Raises:
        MissingArtifactError: If it is absent, not JSON, or JSON of something else.
    """
    data = read_json(path, remedy)
    if not isinstance(data, dict):
        raise MissingArtifactError(f"{path}: expected a JSON object, got other JSON; {remedy or _remedy(Path(path))}")
    return data


def read_user_json(path: Path, what: str = "", advice: str = "correct the file") -> Any:
    """Parse a JSON file that the user wrote or changed, or another program for the user.

    Args:
        path: Of the file.
        what: What it is, for messages, as ``profile``; may be empty.
        advice: What to do about a file that is not JSON.

    Raises:
        InputError: If it is absent or not JSON; names line and column. NaN and infinity are refused too.
    """
    path = Path(path)
    name = f"{what} {path}" if what else str(path)
    try:
        return read_json_file(path, finite=True)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{name}: expected a JSON file, found none; check the path") from error
    except JsonTextError as error:
        raise InputError(f"{name} is not valid JSON: {error}; {advice}") from error
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}; check its permissions") from error


def _remedy(path: Path) -> str:
    """What to do about a file that a step wrote, by its name."""
    return next(remedy for pattern, remedy in REMEDIES if fnmatchcase(path.name, pattern))


def write_json(path: Path, data: Any) -> None:
    """Write JSON, whole or not at all."""
    write_text(Path(path), json.dumps(data, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text as UTF-8 with line ends as they are, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def provenance() -> dict[str, str]:
    """Versions that shaped an artifact."""
    versions = {"soars_nnunet": __version__}
    for name in DEPENDENCIES:
        versions[name] = version(name)
    return versions


def json_hash(data: Any) -> str:
    """SHA-256 of a JSON-able value, independent of key order."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
