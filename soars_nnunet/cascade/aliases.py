"""What the user says of names that are not read: ``LT PAROTID=Parotid_L``."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence

from soars_nnunet.errors import InputError
from soars_nnunet.naming.halves import form_of
from soars_nnunet.profile import Profile, ProfileError

OPTION = "--alias"
NOTHING = "none"
"""Forgets the aliases of the last run."""


def parse_aliases(texts: Sequence[str]) -> dict[str, str]:
    """Organ by name in the dataset, from ``NAME=ORGAN`` each; ``none`` alone says that there are no aliases.

    Raises:
        InputError: If a text has another form, or two of them say different things of one name.
    """
    aliases: dict[str, str] = {}
    if list(texts) == [NOTHING]:
        return aliases
    for text in texts:
        name, _, organ = text.rpartition("=")
        name, organ = name.strip(), organ.strip()
        if not name or not organ:
            raise InputError(f'{OPTION} {text}: expected NAME=ORGAN, such as "LT PAROTID=Parotid_L"')
        if aliases.setdefault(name, organ) != organ:
            raise InputError(f"{OPTION} {text}: expected one organ of '{name}', got also {aliases[name]}; keep one")
    return aliases


def apply_aliases(aliases: Mapping[str, str], profile: Profile, names: Collection[str], where: str) -> Profile:
    """The profile with aliases, which then mean their organs in all later steps.

    Args:
        aliases: Organ by name in the dataset; an organ of the profile, or a whole or half of one.
        profile: The organs.
        names: That the dataset has.
        where: The dataset, for messages.

    Raises:
        InputError: If a name is none of the dataset's, an organ none of the profile's, or an alias means another organ.
    """
    for name in aliases:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(names)}"
            raise InputError(f"{OPTION} {name}={aliases[name]}: {where} has no such name; {hint}")
    of_organs = {name: organ for name, organ in aliases.items() if not form_of(organ, profile.halves)}
    for name, organ in aliases.items():
        if name not in of_organs and profile.resolve(organ):  # a half of the profile's own
            of_organs[name] = organ
    try:
        return profile.with_aliases(of_organs)
    except ProfileError as error:
        raise InputError(f"{OPTION}: {error}") from error
