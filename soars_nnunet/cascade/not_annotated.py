"""Organs that nobody contoured in some cases: which they are, and what the trainers are told.

An organ of a case is drawn, truly absent, or there but not drawn. The last must not be learnt as
background: the trainers count its probability with the background's (marginal loss).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import InputError
from soars_nnunet.profile import Profile


def read_unannotated(path: Path, profile: Profile, cases: Collection[str] | None) -> dict[str, list[str]]:
    """Organs not drawn, by case, from a JSON file.

    Args:
        path: ``{case: [organ, ...]}`` or ``{case: {"unannotated": [organ, ...], ...}}``; any spelling
            that the profile knows. Organs it does not know are passed over.
        profile: Organs and their aliases.
        cases: Cases of the dataset; None accepts entries of any case.

    Returns:
        TG-263 names by case, in the profile's order; only cases with such organs.

    Raises:
        InputError: If the file is something else, or names a case that the dataset lacks.
    """
    data = read_json(path)
    entries: dict[str, Any] = {}
    for case, entry in data.items() if isinstance(data, dict) else ():
        entries[case] = entry.get("unannotated", []) if isinstance(entry, dict) else entry
    if not isinstance(data, dict) or not all(_are_names(entry) for entry in entries.values()):
        raise InputError(
            f'{path}: expected {{"case": ["organ", ...], ...}} or {{"case": {{"unannotated": ["organ", ...]}}}}, '
            "got something else; correct the file"
        )
    foreign = [] if cases is None else sorted(set(entries) - set(cases))
    if foreign:
        raise InputError(f"{path}: expected cases of the dataset, got also {', '.join(foreign[:5])}; correct the names")
    found = {}
    for case, names in entries.items():
        organs = {organ.name for name in names if (organ := profile.resolve(name))}
        if organs:
            found[case] = [organ.name for organ in profile.organs if organ.name in organs]
    return found


def _are_names(entry: Any) -> bool:
    return isinstance(entry, list) and all(isinstance(name, str) for name in entry)


def undrawn_classes(
    undrawn: Mapping[str, Iterable[str]], classes: Sequence[tuple[str, Sequence[str]]]
) -> dict[str, list[str]]:
    """A branch's classes that a case's contours do not show.

    Args:
        undrawn: Organs not drawn, by case.
        classes: Name and organs of each class; a detection target unites several, and without one of
            them its centre is unknown.

    Returns:
        Class names by case; only cases that have any.
    """
    table = {
        case: [name for name, members in classes if not set(members).isdisjoint(organs)]
        for case, organs in ((case, set(organs)) for case, organs in undrawn.items())
    }
    return {case: names for case, names in table.items() if names}
