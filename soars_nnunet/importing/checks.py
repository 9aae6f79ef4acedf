"""What a folder's file names alone tell of a set: gaps, foreign structures, structures without a contour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from soars_nnunet.importing.case_files import CaseFiles
from soars_nnunet.importing.findings import Finding, format_numbers
from soars_nnunet.importing.public_sets import Group, PublicSet, Structure
from soars_nnunet.profile import normalise


def check_numbers(table: PublicSet, cases: Sequence[CaseFiles]) -> list[Finding]:
    """Gaps in the numbering of the published groups, differing counts, and cases of no group."""
    found = []
    for group in table.groups:
        text = _difference(group, [case for case in cases if case.group == group.name])
        if text:
            found.append(Finding("numbering", f"{group.name}: {text}"))
    if table.groups:
        for case in cases:
            if case.group is None:
                found.append(Finding("numbering", "outside the published groups", case.name))
    return found


def _difference(group: Group, members: Sequence[CaseFiles]) -> str | None:
    """How the cases of a group differ from the published ones."""
    if group.first is not None and group.last is not None and group.last - group.first + 1 == group.count:
        missing = set(range(group.first, group.last + 1)) - {case.number for case in members}
        if not missing:
            return None
        return f"{len(missing)} of {group.count} cases are not there: {format_numbers(missing)}"
    if len(members) != group.count:
        return f"{group.count} cases are published, {len(members)} are there"
    return None


def unknown_structures(table: PublicSet, structures: Sequence[Structure], cases: Sequence[CaseFiles]) -> list[Finding]:
    """Mask files of structures that neither the set nor the user's choice knows."""
    known = set()
    for structure in (*table.structures, *structures):
        known |= _spellings(structure)
    found = []
    for case in cases:
        for spelling in sorted(case.masks):
            if normalise(spelling) not in known:
                found.append(Finding("unknown", spelling, case.name))
    return found


def drawn_somewhere(
    structures: Iterable[Structure], cases: Sequence[CaseFiles]
) -> tuple[list[Structure], list[Structure]]:
    """Structures with a file in some case (all of them, where there are label maps), and the others."""
    if any(case.labels for case in cases):
        return list(structures), []
    files: set[str] = set()
    for case in cases:
        files.update(normalise(spelling) for spelling in case.masks)
    drawn, absent = [], []
    for structure in structures:
        spellings = _spellings(structure)
        has_files = spellings <= files if structure.is_union else bool(spellings & files)
        if has_files:
            drawn.append(structure)
        else:
            absent.append(structure)
    return drawn, absent


def _spellings(structure: Structure) -> set[str]:
    """Normalised names that a structure's files may have; of a union's files every one is needed."""
    return {normalise(name) for name in (*structure.published, *structure.aliases)}
