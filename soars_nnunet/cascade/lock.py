"""Locks: of two runs that would write the same, the second one is told who is at it.

The system lets a lock go when its process ends, however it ends. The file of a lock says who holds it and goes with it;
one that a killed run left is taken over.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from soars_nnunet.cascade.environment import preprocessed_folder
from soars_nnunet.errors import InputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS)
"""Error numbers by which some network file systems say that they know no locks."""

POLL_SECONDS = 0.2


class BusyError(InputError):
    """Another run is writing what this one would write."""


@dataclass(frozen=True)
class Lock:
    """A lock that this process holds.

    Attributes:
        path: Its file.
        descriptor: Of the opened file.
    """

    path: Path
    descriptor: int

    def release(self) -> None:
        """Let it go, and remove its file."""
        if os.name == "nt":  # which removes no open file
            os.close(self.descriptor)
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        if os.name != "nt":
            os.close(self.descriptor)


@contextmanager
def holding(path: Path, what: str, wait_seconds: float = 0) -> Iterator[None]:
    """Context in which no other run holds the lock.

    Args:
        path: File of the lock.
        what: What it guards, for the message.
        wait_seconds: How long to wait for another run.

    Raises:
        BusyError: If another run holds it, or another context of this one.
    """
    lock = take(path, what, wait_seconds)
    try:
        yield
    finally:
        lock.release()


@contextmanager
def dataset_lock(source: str) -> Iterator[None]:
    """Context in which no other run stratifies, plans or makes channels of a source dataset.

    Raises:
        BusyError: If another one does.
    """
    with holding(preprocessed_folder() / f".{source}.lock", f"dataset {source}"):
        yield


def take(path: Path, what: str, wait_seconds: float = 0) -> Lock:
    """Take a lock.

    Args:
        path: Its file; the folder is made if need be.
        what: What it guards, for the message.
        wait_seconds: How long to wait for another run.

    Raises:
        BusyError: If another run holds it, or this one already.
    """
    until = time.monotonic() + wait_seconds
    while True:
        lock = try_to_take(path)
        if lock is not None:
            return lock
        if time.monotonic() >= until:
            raise BusyError(f"{what} is being written by {holder(path)}; rerun when that has ended")
        time.sleep(POLL_SECONDS)


def try_to_take(path: Path) -> Lock | None:
    """Take a lock; None if it is held."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        if not _lock(descriptor):
            os.close(descriptor)
            return None
        if _is_file_of(descriptor, path):
            _say_who(descriptor)
            return Lock(path, descriptor)
        os.close(descriptor)  # its holder removed it before it was locked here


def holder(path: Path) -> str:
    """Who holds a lock, in words."""
    try:
        said = json.loads(path.read_bytes())
        return f"{said['command']} (process {said['process']} on {said['host']}, since {said['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another run"


def _lock(descriptor: int) -> bool:
    """Whether it could be locked, or the file system knows no locks."""
    try:
        if sys.platform == "win32":
            os.lseek(descriptor, 1 << 20, os.SEEK_SET)  # beyond the text, which others may then read
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in NO_LOCKS
    return True


def _is_file_of(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _say_who(descriptor: int) -> None:
    """Write who holds the lock into its file."""
    said = {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "command": Path(sys.argv[0]).name or "python",
        "since": datetime.now().isoformat(" ", "seconds"),
    }
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps(said).encode())
