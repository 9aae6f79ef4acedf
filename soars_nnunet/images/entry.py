"""Entries of the file system that are given as images: names that can be used, ordinary files that can be read.

No torch here.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from pathlib import Path

from soars_nnunet.errors import InputError

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
"""What else than an ordinary file an entry may be; reading some of them never ends."""

FOREIGN_BYTES = range(0xDC80, 0xDD00)
"""Code points by which Python stands for bytes of a name that are not UTF-8."""

CONTROL_CATEGORIES = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories of characters that move the cursor, break a line or stand for nothing."""

DIRECTION_CONTROLS = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""Characters that turn the text behind them round, so that a name is read as another."""


def shown(text: str | Path) -> str:
    r"""A name or path for a message: what is not UTF-8 as ``\xff``, control characters as ``\n``, on one line."""
    parts = []
    for character in str(text):
        if ord(character) in FOREIGN_BYTES:
            parts.append(f"\\x{ord(character) - 0xDC00:02x}")
        elif _is_control(character):
            parts.append(character.encode("unicode_escape", "surrogatepass").decode("ascii"))
        else:
            parts.append(character)
    return "".join(parts)


def name_fault(name: str) -> str | None:
    """What is wrong with a name that files, reports and tables are to carry; None if nothing is."""
    if any(ord(character) in FOREIGN_BYTES for character in name):
        return f"expected a name in UTF-8, got '{shown(name)}'; rename it"
    if any(_is_control(character) for character in name):
        return f"expected a name without control characters, got '{shown(name)}'; rename it"
    return None


def require_file(path: Path, what: str = "an image file") -> int:
    """Refuse what is no ordinary file that can be read; nothing is opened. Links are followed.

    Args:
        path: Entry.
        what: What is expected, for the message.

    Returns:
        Size in bytes.

    Raises:
        InputError: If it is a pipe, socket, device or folder, absent, a broken link, not readable, or its path is not
            UTF-8 (on which ITK ends the process).
    """
    if any(ord(character) in FOREIGN_BYTES for character in str(path)):
        raise InputError(f"{shown(path)}: expected a path in UTF-8, got other bytes; rename the file or its folder")
    try:
        found = path.stat()
    except FileNotFoundError:
        kind = "a broken link" if path.is_symlink() else "nothing"
        raise InputError(f"{shown(path)}: expected {what}, found {kind}; check the path") from None
    except (OSError, ValueError) as error:  # a link to itself, a name too long, a null character
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{shown(path)}: expected {what}, got an error ({reason}); check the path") from None
    if not stat.S_ISREG(found.st_mode):
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "something else")
        raise InputError(f"{shown(path)}: expected {what}, found {kind}; check the path")
    if not os.access(path, os.R_OK):
        raise InputError(f"{shown(path)}: expected {what} that can be read, got no permission; change its mode")
    return found.st_size


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in CONTROL_CATEGORIES or character in DIRECTION_CONTROLS
