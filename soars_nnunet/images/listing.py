"""CT files by case name."""

from __future__ import annotations

from pathlib import Path

from soars_nnunet.errors import InputError

FILE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")


def list_cts(path: str | Path) -> list[tuple[str, Path]]:
    """CT files by case name.

    Args:
        path: One CT file, or a folder whose ``FILE_ENDINGS`` files are taken (hidden files and
            subfolders are not).

    Returns:
        (case name, file), sorted by name. The name is the file's without its ending and without
        nnU-Net's ``_0000`` suffix.

    Raises:
        InputError: If the path is missing, is no CT file, is a folder without CT files, or two
            files have one case name.
    """
    path = Path(path)
    if path.is_file():
        return [(case_name(path), path)]
    if not path.is_dir():
        raise InputError(f"{path}: expected a CT file or a folder of CTs, found nothing; check the path")
    cases: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        if not _is_visible_ct(file):
            continue
        case = case_name(file)
        other = cases.setdefault(case, file)
        if other != file:
            raise InputError(
                f"{path}: expected one CT a case, got {other.name} and {file.name} for case '{case}'; "
                "rename or remove one"
            )
    if not cases:
        raise InputError(
            f"{path}: expected CT files ({', '.join(FILE_ENDINGS)}), found none; "
            "convert DICOM series first, for example with dcm2niix"
        )
    return sorted(cases.items())


def file_ending(path: Path) -> str:
    """The one of ``FILE_ENDINGS`` that a file has, in any case of letters.

    Raises:
        InputError: If it has none of them.
    """
    for ending in FILE_ENDINGS:
        if path.name.lower().endswith(ending):
            return ending
    raise InputError(
        f"{path}: expected a CT file ({', '.join(FILE_ENDINGS)}), got '{path.name}'; "
        "convert DICOM series first, for example with dcm2niix"
    )


def case_name(path: Path) -> str:
    """A CT file's name without its ending and without nnU-Net's ``_0000`` suffix.

    Raises:
        InputError: If it has none of ``FILE_ENDINGS``.
    """
    name = path.name[: -len(file_ending(path))]
    return name.removesuffix("_0000") or name


def _is_visible_ct(file: Path) -> bool:
    hidden = file.name.startswith(".")
    return not hidden and file.is_file() and file.name.lower().endswith(FILE_ENDINGS)
