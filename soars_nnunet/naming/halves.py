"""Organs that some draw whole and others as a left and a right half: mandible, thyroid.

Halves are data of a profile: ``{whole: (left half, right half)}``. Either the whole is one of its organs or both halves
are; the other form is what a dataset may have instead.
"""

from __future__ import annotations

from collections.abc import Mapping

from soars_nnunet.naming.organ_names import read_name

Halves = Mapping[str, tuple[str, str]]
"""Left and right half by whole."""


def form_of(name: str, halves: Halves) -> str | None:
    """Whole or half that a name means, as ``halves`` spells it; None for all other names."""
    reading = read_name(name)
    for whole, (left, right) in halves.items():
        for form in (whole, left, right):
            if name == form or (reading and reading == read_name(form)):
                return form
    return None


def made_of(form: str, halves: Halves) -> tuple[str, ...]:
    """The other form: both halves of a whole, the whole of a half; empty for all other names."""
    for whole, names in halves.items():
        if form == whole:
            return names
        if form in names:
            return (whole,)
    return ()


def halves_problem(halves: Halves, partners: Mapping[str, str | None]) -> str | None:
    """What is wrong with a profile's halves, or None.

    Args:
        halves: Of the profile.
        partners: Mirror partner by organ of the profile; None on the midline.
    """
    for whole, names in halves.items():
        if len(names) != 2 or len({whole, *names}) != 3:
            return f"halves of {whole}: expected the names of a left and a right half, got {', '.join(names) or 'none'}"
        are_organs = [half in partners for half in names]
        if (whole in partners) == all(are_organs) or any(are_organs) != all(are_organs):
            return f"halves of {whole}: expected either {whole} or both halves among the organs"
        if all(are_organs) and partners[names[0]] != names[1]:
            return f"halves of {whole}: expected mirror partners, got {names[0]} and {names[1]}"
    return None
