"""Which file below a folder belongs to which case of a public set, and what it holds."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from soars_nnunet.errors import InputError
from soars_nnunet.importing.public_sets import PREFIX, PublicSet

SHOWN_FILES = 5
"""File names in the message that the layout is another one."""


@dataclass
class CaseFiles:
    """Files of one case by role; more than one CT or label map is for the caller to refuse.

    Attributes:
        name: In the written dataset.
        number: The set's own, where its cases are numbered.
        group: Cases that the set publishes together; None outside of all of them.
        ct: CTs.
        labels: Label maps.
        spacing: Files of voxel sizes.
        masks: Mask files by the spelling of their structure.
    """

    name: str
    number: int | None
    group: str | None
    ct: list[Path] = field(default_factory=list)
    labels: list[Path] = field(default_factory=list)
    spacing: list[Path] = field(default_factory=list)
    masks: dict[str, list[Path]] = field(default_factory=dict)

    def paths(self) -> list[Path]:
        """All of them, sorted."""
        everything = {*self.ct, *self.labels, *self.spacing}
        for paths in self.masks.values():
            everything.update(paths)
        return sorted(everything)


def find_cases(table: PublicSet, source: Path) -> tuple[list[CaseFiles], list[Path]]:
    """Every file below a folder by case and role, and the files that the set does not know.

    Hidden files and folders are passed over.

    Raises:
        InputError: If there is no such folder, or no case in it.
    """
    if not source.is_dir():
        raise InputError(f"{source}: expected the folder of {table.name}, found none; check the path")
    cases: dict[str, CaseFiles] = {}
    foreign = []
    for path in _visible_files(source.resolve()):
        role, match = _classify(table, path)
        if match is None:
            foreign.append(path)
        elif role != "ignored":
            _add(table, cases, path, role, match=match)
    if not cases:
        shown = sorted({path.name for path in foreign})[:SHOWN_FILES]
        raise InputError(
            f"{source}: expected the layout of {table.name} (choices: {dict(table.choices)}), "
            f"found {', '.join(shown) or 'no files'}; see the patterns in plans/{PREFIX}{table.name}.json"
        )
    return sorted(cases.values(), key=lambda case: case.name), foreign


def _visible_files(root: Path) -> list[Path]:
    """Files below a folder, links followed, in a fixed order."""
    found = []
    for folder, subfolders, files in os.walk(root, followlinks=True):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        for file in sorted(files):
            if not file.startswith("."):
                found.append(Path(folder, file))
    return found


def _classify(table: PublicSet, path: Path) -> tuple[str, re.Match[str] | None]:
    for pattern in table.files:
        match = pattern.regex.search(path.as_posix())
        if match:
            return pattern.role, match
    return "", None


def _add(table: PublicSet, cases: dict[str, CaseFiles], path: Path, role: str, *, match: re.Match[str]) -> None:
    groups = match.groupdict()
    digits = groups.get("number")
    number = int(digits) if digits else None
    name = table.case_name.format(case=groups["case"], number=number)
    if name not in cases:
        cases[name] = CaseFiles(name, number, table.group_of(number, groups.get("group")))
    case = cases[name]
    if role == "mask":
        structure = groups["structure"]
        assert structure is not None
        case.masks.setdefault(structure, []).append(path)
    else:
        getattr(case, role).append(path)
