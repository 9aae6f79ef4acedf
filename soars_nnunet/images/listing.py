"""Image files by case name; what cannot be used of a folder is named and does not stop the rest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from soars_nnunet.errors import InputError
from soars_nnunet.images.entry import name_fault, require_file, shown

FILE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")


@dataclass(frozen=True)
class Listed:
    """An image file of a folder.

    Attributes:
        case: Case name, as it can be shown and written.
        path: The file.
        fault: Why it cannot be used, a sentence; empty if nothing is known against it.
    """

    case: str
    path: Path
    fault: str = ""


def list_images(path: str | Path) -> list[Listed]:
    """Image files by case name.

    Args:
        path: One file, or a folder whose ``FILE_ENDINGS`` files are taken (hidden ones are not).

    Returns:
        Sorted by case. Of a folder also what has such an ending and cannot be used: no ordinary file, a broken link, a
        name that is not UTF-8 or has control characters, two files of one case.

    Raises:
        InputError: If the path is missing, is no such file, or is a folder without one.
    """
    path = Path(path)
    if not path.is_dir():
        require_file(path, "a CT file or a folder of CTs")
        name = case_name(path)
        if fault := name_fault(name) or _without_name(path):
            raise InputError(f"{shown(path)}: {fault}")
        return [Listed(name, path)]
    cases: dict[str, Listed] = {}
    for file in sorted(path.iterdir()):
        if file.name.startswith(".") or not file.name.lower().endswith(FILE_ENDINGS):
            continue
        listed = _listed(file)
        other = cases.get(listed.case)
        if other is not None:
            both = f"{shown(other.path.name)} and {shown(file.name)} for case '{listed.case}'"
            listed = Listed(
                listed.case, file, f"{shown(path)}: expected one CT a case, got {both}; rename or remove one"
            )
        cases[listed.case] = listed
    if not cases:
        raise InputError(
            f"{shown(path)}: expected CT files ({', '.join(FILE_ENDINGS)}), found none; "
            "convert DICOM series first, for example with dcm2niix"
        )
    return [cases[name] for name in sorted(cases)]


def _listed(file: Path) -> Listed:
    """A file of a folder, with what is known against it."""
    name = case_name(file)
    fault = name_fault(name)
    if fault:
        return Listed(shown(name), file, f"{shown(file)}: {fault}")
    try:
        require_file(file)
    except InputError as error:
        return Listed(name, file, str(error))
    return Listed(name, file)


def _without_name(path: Path) -> str | None:
    return None if case_name(path) else "expected a name before the ending, got none; rename it"


def file_ending(path: Path) -> str:
    """The one of ``FILE_ENDINGS`` that a file has, in any case of letters.

    Raises:
        InputError: If it has none of them.
    """
    for ending in FILE_ENDINGS:
        if path.name.lower().endswith(ending):
            return ending
    raise InputError(
        f"{shown(path)}: expected a CT file ({', '.join(FILE_ENDINGS)}), got '{shown(path.name)}'; "
        "convert DICOM series first, for example with dcm2niix"
    )


def case_name(path: Path) -> str:
    """A CT file's name without its ending and without nnU-Net's ``_0000`` suffix.

    Raises:
        InputError: If it has none of ``FILE_ENDINGS``.
    """
    name = path.name[: -len(file_ending(path))]
    return name.removesuffix("_0000") or name
