"""Organs that nobody annotated in some cases: which they are, and what the trainers are told.

An organ of a case is drawn, truly absent, or there but not annotated. The last must not be learnt as
background: the trainers count its probability with the background's (marginal loss).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.storage import read_user_json
from soars_nnunet.errors import InputError
from soars_nnunet.profile import Profile
from soars_nnunet.schemas.printable import printable

logger = logging.getLogger(__name__)

KEY = "unannotated"
"""In a case's entry that says more of it than its organs."""

MAX_LISTED = 5
"""Unknown cases that a message names."""


def read_not_annotated(path: Path, profile: Profile, cases: Collection[str] | None) -> dict[str, list[str]]:
    """Organs that are not annotated, by case, from a JSON file.

    Args:
        path: ``{case: [organ, ...]}`` or ``{case: {"unannotated": [organ, ...], ...}}``; any spelling
            that the profile knows; halves for a whole and vice versa. Organs it does not know are passed over.
        profile: Organs and their aliases.
        cases: Cases of the dataset; None accepts entries of any case.

    Returns:
        TG-263 names by case, in the profile's order; only cases with such organs.

    Raises:
        InputError: If the file is something else, or names a case that the dataset lacks.
    """
    entries = _read_entries(path)
    foreign = [] if cases is None else sorted(set(entries) - set(cases))
    if foreign:
        listed = ", ".join(foreign[:MAX_LISTED])
        raise InputError(f"{path}: expected cases of the dataset, got also {listed}; correct the names")
    found = {}
    _warn_of_unknown(path, entries, profile)
    for case, names in entries.items():
        organs = _resolve(names, profile)
        if organs:
            found[case] = organs
    return found


def _read_entries(path: Path) -> dict[str, list[str]]:
    """Names by case as the file spells them."""
    data = read_user_json(path)
    refusal = InputError(
        f'{path}: expected {{"case": ["organ", ...], ...}} or {{"case": {{"unannotated": ["organ", ...]}}}}, '
        "got something else; correct the file"
    )
    if not isinstance(data, dict):
        raise refusal
    entries = {}
    for case, entry in data.items():
        if isinstance(entry, dict) and entry and KEY not in entry:
            raise InputError(
                f"{path}: case {printable(case)}: expected the key {KEY} with names of organs, got "
                f"{printable(', '.join(entry) or 'none')}; correct the file"
            )
        names = entry.get(KEY, []) if isinstance(entry, dict) else entry
        if not _are_names(names):
            raise refusal
        entries[case] = names
    return entries


def _warn_of_unknown(path: Path, entries: Mapping[str, Sequence[str]], profile: Profile) -> None:
    """Say which names are no organs of the profile: a name may be mistyped."""
    unknown: set[str] = set()
    for names in entries.values():
        unknown.update(name for name in names if not profile.organs_of(name))
    if unknown:
        shown = printable(", ".join(sorted(unknown)))
        logger.warning("warning: %s: no organs of profile %s, passed over: %s", path, profile.name, shown)


def _resolve(names: Iterable[str], profile: Profile) -> list[str]:
    """TG-263 names of the organs that the profile knows, in its order."""
    known: set[str] = set()
    for name in names:
        known.update(profile.organs_of(name))
    return [organ.name for organ in profile.organs if organ.name in known]


def _are_names(entry: Any) -> bool:
    return isinstance(entry, list) and all(isinstance(name, str) for name in entry)


def classes_not_annotated(
    not_annotated: Mapping[str, Iterable[str]], classes: Sequence[tuple[str, Sequence[str]]]
) -> dict[str, list[str]]:
    """A branch's classes that a case's contours do not show.

    Args:
        not_annotated: Organs that are not annotated, by case.
        classes: Name and organs of each class; a detection target unites several, and without one of
            them its centre is unknown.

    Returns:
        Class names by case; only cases that have any.
    """
    table = {}
    for case, names in not_annotated.items():
        organs = set(names)
        lacking = [name for name, members in classes if not organs.isdisjoint(members)]
        if lacking:
            table[case] = lacking
    return table
