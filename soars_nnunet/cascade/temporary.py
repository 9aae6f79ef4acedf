"""Names of files that are being written: they say which process writes, so that those of a killed one can be removed.

A temporary file lies beside its place as ``.NAME.soars-HOST-PROCESS-START.ENDING``.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
from contextlib import suppress
from functools import cache
from pathlib import Path

import psutil

OWNED = re.compile(r"\..*\.soars-([0-9a-f]{6})-([0-9a-f]+)-([0-9a-f]+)(\.|$)")
"""Of a temporary file: host, process and when that started."""

LONGEST_NAME = 255
"""Bytes of a file's name on common file systems."""

CLOCK_SECONDS = 5
"""By which the start of a process may seem to move while clocks are corrected."""


@cache
def host() -> str:
    """This computer, in six signs that do not name it."""
    return hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def owner() -> str:
    """This process, as temporary files name it; made again after a fork."""
    return _owner(os.getpid())


@cache
def _owner(process: int) -> str:
    return f"{host()}-{process:x}-{int(psutil.Process(process).create_time()):x}"


def temporary_beside(path: Path) -> Path:
    """Name beside a file under which this process writes it: hidden, with the same endings."""
    stem, dot, endings = path.name.partition(".")
    tail = f".soars-{owner()}{dot}{endings}"
    room = LONGEST_NAME - len(os.fsencode(tail)) - 1
    while stem and len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return path.with_name(f".{stem}{tail}")


def is_abandoned(name: str) -> bool:
    """Whether a file's name says that a process of this computer was writing it which has ended."""
    found = OWNED.match(name)
    if found is None or found[1] != host():
        return False
    process, started = int(found[2], 16), int(found[3], 16)
    try:
        return abs(psutil.Process(process).create_time() - started) > CLOCK_SECONDS
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files that killed processes of this computer left in a folder; looks once a process."""
    _remove_once(folder.absolute(), os.getpid())


@cache
def _remove_once(folder: Path, process: int) -> None:
    with suppress(OSError):  # a folder that may not be listed is none that is cleaned
        for name in os.listdir(folder):
            if is_abandoned(name):
                (folder / name).unlink(missing_ok=True)
