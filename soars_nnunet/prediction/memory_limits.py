"""How much memory there is: of the machine, and of the groups that bound this process (container, batch job)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

GIB = 2**30


@dataclass(frozen=True)
class GroupFiles:
    """Where a version of Linux control groups says what a group may use and uses, in bytes.

    Attributes:
        root: Folder of the groups' memory.
        limit: File of a group's limit.
        used: File of what it uses.
        unused_cache: Entry of ``memory.stat``: cache in that which can be given back.
    """

    root: Path
    limit: str
    used: str
    unused_cache: str


GROUP_VERSIONS = (
    GroupFiles(
        root=Path("/sys/fs/cgroup"),
        limit="memory.max",
        used="memory.current",
        unused_cache="inactive_file",
    ),
    GroupFiles(
        root=Path("/sys/fs/cgroup/memory"),
        limit="memory.limit_in_bytes",
        used="memory.usage_in_bytes",
        unused_cache="total_inactive_file",
    ),
)
"""Version 2, then version 1."""
OWN_GROUPS = Path("/proc/self/cgroup")
"""Names this process's groups, one a line: number, controllers (``memory``; none in v2), path below that folder."""


@dataclass(frozen=True)
class GroupMemory:
    """Memory of a group, bytes.

    Attributes:
        limit: What it may use.
        used: What it uses.
        unused_cache: Cache in that which can be given back.
    """

    limit: int
    used: int
    unused_cache: int


def available_bytes() -> int:
    """Memory that this process may still take: of the machine, or of the least of its groups; 0 or more."""
    free = psutil.virtual_memory().available
    for group in _own_groups():
        free = min(free, group.limit - group.used + group.unused_cache)
    return max(0, free)


def total_bytes() -> int:
    """Memory that there is at all: of the machine, or the lowest limit of this process's groups."""
    total = psutil.virtual_memory().total
    for group in _own_groups():
        total = min(total, group.limit)
    return total


def held_bytes() -> int:
    """What the process holds already."""
    return psutil.Process().memory_info().rss


def _own_groups() -> Iterator[GroupMemory]:
    """Memory of this process's groups that have a limit."""
    for files in GROUP_VERSIONS:
        for folder in _group_folders(files.root):
            try:
                yield _read_group(folder, files)
            except (OSError, ValueError):  # no such group, or "max"
                continue


def _read_group(folder: Path, files: GroupFiles) -> GroupMemory:
    """Memory of a group.

    Raises:
        OSError: If it is not there.
        ValueError: If it has no limit, or does not say what it caches.
    """
    return GroupMemory(
        limit=int((folder / files.limit).read_text()),
        used=int((folder / files.used).read_text()),
        unused_cache=_statistic(folder / "memory.stat", files.unused_cache),
    )


def _statistic(path: Path, name: str) -> int:
    """Value of a line of a file of names and values."""
    for line in path.read_text().splitlines():
        key, value = line.split()
        if key == name:
            return int(value)
    raise ValueError(f"{path}: expected a line {name}, found none")


def _group_folders(root: Path) -> list[Path]:
    """Folders of this process's own group and those that it lies in, the root's first."""
    try:
        lines = OWN_GROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return [root]
    folders = [root]
    for line in lines:
        _, controllers, name = line.split(":", 2)
        path = Path(name)
        if controllers not in ("", "memory") or not path.is_absolute() or ".." in path.parts:
            continue
        own = path.relative_to("/")
        for group in (*reversed(own.parents), own):
            if root / group not in folders:
                folders.append(root / group)
    return folders
