"""Which organ each mask file of a set of the user's own shows: as the profile lists it, as the user says, or as read.

The files of a case are then known by the names of organs. Wholes and halves that the profile has in the other form are
kept by their names; ``soars-stratify`` makes the organs of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from soars_nnunet.importing.case_files import CaseFiles
from soars_nnunet.importing.findings import Finding
from soars_nnunet.naming.halves import form_of
from soars_nnunet.profile import Profile


def name_masks(cases: Sequence[CaseFiles], profile: Profile, aliases: Mapping[str, str]) -> list[Finding]:
    """Call the mask files of all cases by their organs.

    Args:
        cases: Whose ``masks`` are renamed. Names that mean no organ stay; so do names that are read as an organ of
            which the case has another file.
        profile: The organs, with the user's aliases among theirs.
        aliases: What the user said of names that mean the whole or half of an organ.

    Returns:
        A finding for every name that was read.
    """
    findings = []
    for case in cases:
        listed: dict[str, list[Path]] = {}
        unlisted: dict[str, list[str]] = {}
        for name, paths in case.masks.items():
            organ = profile.resolve_listed(name)
            if organ:
                listed.setdefault(organ.name, []).extend(paths)
                continue
            unlisted.setdefault(_read(name, profile, aliases), []).append(name)
        masks = dict(listed)
        for meant, names in unlisted.items():
            if not meant or meant in listed or len(names) > 1:
                masks.update({name: case.masks[name] for name in names})
                continue
            masks[meant] = case.masks[names[0]]
            findings.append(Finding("read_as", f"{names[0]} -> {meant}", case.name))
        case.masks = masks
    return findings


def _read(name: str, profile: Profile, aliases: Mapping[str, str]) -> str:
    """Organ, or whole or half of one, that a name which no list has means; empty where it means none."""
    organ = profile.resolve(name)
    if organ:
        return organ.name
    return form_of(aliases.get(name, name), profile.halves) or ""
