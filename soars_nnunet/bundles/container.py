"""The files of a bundle, in a folder or a zip, read without trusting names, sizes or kinds of files.

Nothing is unpacked or followed: a file is read whole into memory once its size is known to be allowed.
"""

from __future__ import annotations

import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from pathlib import Path

from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.schemas.names import is_plain_name
from soars_nnunet.schemas.printable import printable

MAX_FILES = 128
"""Four branches of 25 folds, cards and licences."""

MAX_BYTES = 2**31
"""Of all files together: a hundred times a bundle of 42 organs."""

BUNDLE_NAME = r"[a-z0-9][a-z0-9_.-]{0,63}"

ZIP_END = struct.Struct("<4s8xLL2x")
"""Last record of a zip: signature, bytes and place of the list of files; without a comment."""

ZIP64 = b"PK\x06\x07"
"""Signature of what stands 20 bytes before the last record where the list is described elsewhere."""

MAX_LIST = MAX_FILES * 512
"""Bytes of the list of files: 46 a file, its name, and what some programs add."""

AGAIN = "copy the bundle again, or ask whoever made it"
"""What to do about a damaged one."""


DELETE = f"delete it, or {AGAIN}"


def refusal(where: str, expected: str, got: str, advice: str = AGAIN) -> MissingArtifactError:
    """The error for a bundle that is not used: one line, whatever the bundle says.

    Args:
        where: The bundle or its file.
        expected: Of it.
        got: Instead; signs that are not printable are escaped, and long texts cut.
        advice: What to do.
    """
    return MissingArtifactError(f"{printable(where)}: expected {expected}, got {printable(got)}; {advice}")


def is_bundle_name(name: str) -> bool:
    """Whether a bundle may have this name, by which it is installed as a folder."""
    return re.fullmatch(BUNDLE_NAME, name) is not None and is_plain_name(name) and not name.endswith(".zip")


class Container(ABC):
    """Files by name; their sizes are known before they are read.

    Attributes:
        path: Folder or zip.
        sizes: Bytes by name, as the file system or the zip says.
    """

    path: Path
    sizes: dict[str, int]

    def read(self, name: str, most: int) -> bytes:
        """All bytes of a file.

        Args:
            name: One of ``sizes``.
            most: Bytes that it may have.

        Raises:
            MissingArtifactError: If it is missing, larger, or cannot be read.
        """
        size = self.sizes.get(name)
        if size is None:
            raise refusal(str(self.path), f"the file {name}", "none")
        if size > most:
            raise refusal(f"{self.path}/{name}", f"at most {most} bytes", f"{size}")
        try:
            content = self._read(name, size + 1)
        except (OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error, lzma.LZMAError) as error:
            reason = (str(error).splitlines() or ["unreadable"])[0]
            raise refusal(f"{self.path}/{name}", "a readable file", reason) from error
        if len(content) != size:
            raise refusal(f"{self.path}/{name}", f"{size} bytes", "another number")
        return content

    @abstractmethod
    def _read(self, name: str, most: int) -> bytes:
        """Up to so many bytes of a file that is there."""

    def check(self) -> None:
        """Check names, number and total size.

        Raises:
            MissingArtifactError: If one is not as in a bundle.
        """
        if len(self.sizes) > MAX_FILES:
            raise refusal(str(self.path), f"at most {MAX_FILES} files", f"{len(self.sizes)}")
        total = sum(self.sizes.values())
        if total > MAX_BYTES:
            raise refusal(str(self.path), f"at most {MAX_BYTES} bytes in all", f"{total}")
        folded = {name.lower() for name in self.sizes}
        if len(folded) != len(self.sizes):
            raise refusal(str(self.path), "names that differ by more than capitals", "two that do not")


class FolderContainer(Container):
    """Files of a folder.

    A file that has a second name (a hard link) is read: package managers share files that way, and its content is
    checked like any other's.

    Raises:
        MissingArtifactError: If the folder holds anything but plain files.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.sizes = path, {}
        with os.scandir(path) as entries:
            for entry in entries:
                if not is_plain_name(entry.name):
                    raise refusal(
                        str(path), "files with plain names alone", f"'{entry.name}'", f"delete it, or {AGAIN}"
                    )
                facts = entry.stat(follow_symlinks=False)
                _require_file(f"{path}/{entry.name}", facts.st_mode)
                self.sizes[entry.name] = facts.st_size
                if len(self.sizes) > MAX_FILES:
                    break
        self.check()

    def _read(self, name: str, most: int) -> bytes:
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        with open(os.open(self.path / name, flags), "rb") as file:
            _require_file(f"{self.path}/{name}", os.fstat(file.fileno()).st_mode)
            return file.read(most)


class ZipContainer(Container):
    """Files of a zip, read from within it.

    Raises:
        MissingArtifactError: If it is no zip, or holds anything but plain files that can be read without a password.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.sizes = path, {}
        self._members: dict[str, zipfile.ZipInfo] = {}
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise refusal(str(path), f"at most {MAX_BYTES} bytes", f"{size}")
        _require_short_list(path, size)
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise refusal(str(path), "a bundle's zip", (str(error).splitlines() or ["another file"])[0]) from error
        for info in self._archive.infolist():
            self._add(info)
        self.check()

    def _add(self, info: zipfile.ZipInfo) -> None:
        where = str(self.path)
        if not is_plain_name(info.orig_filename):
            raise refusal(where, "files with plain names alone, in no folder", f"'{info.orig_filename}'")
        if info.orig_filename in self.sizes:
            raise refusal(where, "every name once", f"'{info.orig_filename}' twice")
        mode = info.external_attr >> 16
        if stat.S_IFMT(mode):
            _require_file(f"{where}/{info.orig_filename}", mode)
        if info.flag_bits & 0x1:
            raise refusal(f"{where}/{info.orig_filename}", "a file without a password", "an encrypted one")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            method = f"method {info.compress_type}"
            raise refusal(f"{where}/{info.orig_filename}", "a file that is stored or deflated", method)
        self.sizes[info.orig_filename] = info.file_size
        self._members[info.orig_filename] = info

    def _read(self, name: str, most: int) -> bytes:
        # not by name: a zip may give a file another one beside that in its list
        with self._archive.open(self._members[name]) as file:
            return file.read(most)


def _require_short_list(path: Path, size: int) -> None:
    """Refuse a zip whose list of files is long: ``zipfile`` makes an object of each before they can be counted."""
    longest = ZIP_END.size + 20
    with open(path, "rb") as file:
        file.seek(max(0, size - longest))
        end = file.read(longest)
    if len(end) < ZIP_END.size or end[-2:] != b"\0\0":
        raise refusal(str(path), "a bundle's zip, without a comment", "another file")
    signature, list_bytes, _ = ZIP_END.unpack(end[-ZIP_END.size :])
    if signature != b"PK\x05\x06" or end.startswith(ZIP64):
        raise refusal(str(path), "a bundle's zip, without a comment or zip64", "another file")
    if list_bytes > MAX_LIST:
        raise refusal(str(path), f"at most {MAX_FILES} files", f"a list of them of {list_bytes} bytes")


def _require_file(where: str, mode: int) -> None:
    """Refuse links, folders, pipes and devices."""
    if stat.S_ISREG(mode):
        return
    kinds = {stat.S_IFLNK: "a link", stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe"}
    raise refusal(where, "a plain file", kinds.get(stat.S_IFMT(mode), "a device"), DELETE)


def open_container(path: Path) -> Container:
    """Container at a path.

    Raises:
        MissingArtifactError: If there is nothing, or something else.
    """
    if path.is_dir():
        return FolderContainer(path)
    if path.is_file():
        return ZipContainer(path)
    raise refusal(str(path), "a bundle's folder or zip", "nothing there", "check the path")
