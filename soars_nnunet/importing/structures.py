"""Which of a public set's structures are written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from soars_nnunet.errors import InputError, did_you_mean_each
from soars_nnunet.importing.public_sets import PublicSet, Structure
from soars_nnunet.naming.halves import made_of
from soars_nnunet.profile import Profile, ProfileError, load_profile, normalise


def choose_structures(table: PublicSet, profile: str | None, names: Sequence[str] | None) -> list[Structure]:
    """Structures to write, in the table's order.

    Args:
        table: The set.
        profile: Write those that this profile knows; None for the table's own choice.
        names: Write exactly these (written or published names); ``all`` for every published structure.
            Goes before the profile.

    Raises:
        InputError: If a name is unknown, or nothing is left.
        ProfileError: If there is no such profile.
    """
    rows = _with_label_unions(table.structures)
    if not rows:  # a set of the user's own: the profile is its table
        rows = _structures_of_profile(profile or table.profile)
        profile = None
    if names and [normalise(name) for name in names] == ["all"]:
        chosen = [row for row in rows if not row.is_union]
    elif names:
        chosen = _named(rows, names, table.name)
    elif profile:
        chosen = _known_to(profile, rows, table.name)
    else:
        chosen = [row for row in rows if row.write]
    if not chosen:
        raise InputError(f"{table.name}: none of its structures is in profile {profile}; see --structures")
    return chosen


def _structures_of_profile(profile: str) -> list[Structure]:
    structures = []
    known = load_profile(profile)
    for organ in known.organs:
        aliases = (organ.paper_name, *organ.aliases)
        structures.append(Structure(organ.name, (organ.name,), aliases=aliases))
    return structures + other_forms(known)


def other_forms(profile: Profile) -> list[Structure]:
    """Wholes and halves of organs that the profile has in the other form; where both are drawn, the organs win."""
    structures = []
    for whole, halves in profile.halves.items():
        for form in (whole, *halves):
            if form not in profile.by_name:
                organ = profile.by_name[made_of(form, profile.halves)[0]]
                structures.append(Structure(form, (form,), precedence=organ.precedence - 1))
    return structures


def _named(rows: Sequence[Structure], names: Sequence[str], set_name: str) -> list[Structure]:
    """Structures by their written or published names.

    Raises:
        InputError: If a name is unknown.
    """
    wanted = {normalise(name): name for name in names}
    chosen = []
    unknown = dict(wanted)
    for row in rows:
        spellings = _spellings(row)
        if spellings & wanted.keys():
            chosen.append(row)
        for spelling in spellings:
            unknown.pop(spelling, None)
    if unknown:
        has = [row.name for row in rows]
        names = list(unknown.values())
        question = did_you_mean_each(names, has)
        raise InputError(f"--structures: {set_name} has no {', '.join(names)}; it has {', '.join(has)}{question}")
    return chosen


def _spellings(row: Structure) -> set[str]:
    """Normalised names by which the user may ask for a structure."""
    if row.is_union:
        return {normalise(row.name)}
    return {normalise(row.name), normalise(row.published[0])}


def _known_to(profile: str, rows: Sequence[Structure], set_name: str) -> list[Structure]:
    """Structures that a profile knows.

    Raises:
        ProfileError: If there is no such profile, or two of them mean one of its organs.
    """
    known = load_profile(profile)
    chosen = []
    seen, twice = set(), set()
    for row in rows:
        organ = known.resolve(row.name)
        if organ is None:
            continue
        chosen.append(row)
        if organ.name in seen:
            twice.add(organ.name)
        seen.add(organ.name)
    if twice:
        raise ProfileError(f"profile '{profile}': two structures of {set_name} mean {', '.join(sorted(twice))}")
    return chosen


def _with_label_unions(rows: Sequence[Structure]) -> list[Structure]:
    """Rows in which unions also have the labels of what they unite."""
    labels = {row.published[0]: row.labels for row in rows if not row.is_union}
    done = []
    for row in rows:
        if row.is_union and not row.labels:
            united: dict[int, None] = {}
            for name in row.published:
                united.update(dict.fromkeys(labels[name]))
            row = replace(row, labels=tuple(united))
        done.append(row)
    return done
