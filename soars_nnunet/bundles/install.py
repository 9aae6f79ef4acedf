"""Installing bundles for a user, and listing what is shipped and installed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.bundles.places import bundles_in, installed_folder, shipped_folder
from soars_nnunet.cascade.storage import new_staging, publish
from soars_nnunet.errors import InputError


@dataclass(frozen=True)
class Installed:
    """What installing did.

    Attributes:
        path: Folder of the installed bundle.
        was_there: Whether the same bundle lay there already.
        shadows: Whether a shipped bundle of this name is no longer found by it.
    """

    path: Path
    was_there: bool
    shadows: bool


def install_bundle(bundle: Bundle, replace: bool = False) -> Installed:
    """Copy a bundle to the user's folder, file by file as each is verified, whole or not at all.

    Args:
        bundle: Opened.
        replace: Whether another bundle of this name may be replaced, and a shipped one hidden.

    Raises:
        InputError: If the name is taken by another bundle, and it may not be replaced.
        MissingArtifactError: If the bundle is damaged.
    """
    name = bundle.name
    folder = installed_folder() / name
    shadows = name in bundles_in(shipped_folder())
    for taken in (folder, folder.with_name(f"{name}.zip")):
        if _is_same(taken, bundle):
            bundle.verify()
            return Installed(taken, was_there=True, shadows=shadows)
        if taken.exists() and not replace:
            raise InputError(f"{taken}: expected no other bundle of the name '{name}', found one; use --replace")
    if shadows and not replace:
        raise InputError(
            f"'{name}' is the name of a bundle that the package ships: expected another name; make it with another "
            "--name, or hide the shipped one with --replace"
        )
    bundle.verify()
    with new_staging(folder) as staging:
        staged = staging / name
        staged.mkdir()
        for file, content in bundle.contents():
            (staged / file).write_bytes(content)
        open_bundle(staged).verify()
        publish(staged, folder)
    folder.with_name(f"{name}.zip").unlink(missing_ok=True)
    return Installed(folder, was_there=False, shadows=shadows)


def _is_same(path: Path, bundle: Bundle) -> bool:
    """Whether the very bundle lies at a path; what cannot be opened is another one."""
    if not path.exists():
        return False
    try:
        return open_bundle(path).bundle == bundle.bundle
    except ValueError:
        return False


@dataclass(frozen=True)
class ListedBundle:
    """A bundle that is found by its name.

    Attributes:
        name: By which it is found.
        path: Where it lies.
        shipped: Whether it comes with the package; else it is installed.
        bundle: Opened; None if it cannot be.
        note: What is wrong with it, or that it hides a shipped one; mostly empty.
    """

    name: str
    path: Path
    shipped: bool
    bundle: Bundle | None
    note: str = ""


def list_bundles() -> list[ListedBundle]:
    """Shipped bundles, then installed ones, by name; only manifests are read."""
    shipped = bundles_in(shipped_folder())
    installed = bundles_in(installed_folder())
    found = []
    for name, path in shipped.items():
        note = "hidden by the installed one" if name in installed else ""
        found.append(_listed(name, path, shipped=True, note=note))
    for name, path in installed.items():
        note = "hides the shipped one" if name in shipped else ""
        found.append(_listed(name, path, shipped=False, note=note))
    return found


def _listed(name: str, path: Path, *, shipped: bool, note: str) -> ListedBundle:
    try:
        return ListedBundle(name, path, shipped, open_bundle(path), note)
    except ValueError as error:
        return ListedBundle(name, path, shipped, None, str(error))
