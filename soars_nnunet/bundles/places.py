"""Where bundles are found: shipped with the package, installed by the user, or at a path."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from soars_nnunet.cascade.record import MANIFEST
from soars_nnunet.errors import MissingArtifactError, did_you_mean
from soars_nnunet.schemas.names import is_plain_name

SHIPPED = "openkbp7"
"""The bundle that is used where no cascade is trained and none is named."""

VARIABLE = "SOARS_BUNDLES"
"""Environment variable that names the folder of installed bundles."""


def shipped_folder() -> Path:
    """Folder of the bundles that come with the package; it may not be there."""
    return Path(__file__).parent / "models"


def installed_folder() -> Path:
    """Folder of installed bundles: that of the environment variable, else the platform's for a user's data.

    It may not be there.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    return _user_data() / "soars_nnunet" / "bundles"


def _user_data() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def known_bundles() -> dict[str, Path]:
    """Path by name of all bundles that are shipped or installed, sorted by name; an installed one goes first.

    An installed bundle is a folder ``NAME`` or a file ``NAME.zip``. Nothing is opened.
    """
    return dict(sorted({**bundles_in(shipped_folder()), **bundles_in(installed_folder())}.items()))


def bundles_in(folder: Path) -> dict[str, Path]:
    """Path by name of the bundles in one folder, sorted; empty if it is not there. Nothing is opened.

    Args:
        folder: ``shipped_folder()`` or ``installed_folder()``.
    """
    found = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not is_plain_name(path.name):
            continue  # what an interrupted installation left
        if (path / MANIFEST).is_file():
            found[path.name] = path
        elif path.suffix == ".zip" and path.is_file():
            found[path.stem] = path
    return found


def find_bundle(name_or_path: str | Path) -> Path:
    """Folder or zip of a bundle.

    Args:
        name_or_path: Name of a shipped or installed bundle, or a path: what has a separator or is a ``Path`` is one.

    Raises:
        MissingArtifactError: If there is none.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, str) and is_plain_name(text):
        known = known_bundles()
        if text in known:
            return known[text]
    path = Path(text)
    if path.exists():
        return path.parent if path.is_file() and path.name == MANIFEST else path
    names = ", ".join(known_bundles()) or "none"
    raise MissingArtifactError(
        f"no bundle '{text}': expected the name of a shipped or installed one ({names}), or the path of a bundle's "
        f"folder or zip{did_you_mean(text, known_bundles())}"
    )
