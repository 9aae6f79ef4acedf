"""Organs, tiers and detection targets, read from a profile JSON in ``plans/``.

A profile is the only place where an organ's label, tier, mirror partner, detection
target and precedence are written down; everything else is derived from it here.
Spellings that no profile lists are read by ``organ_names``. This module imports neither torch nor nnU-Net.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, NoReturn

from soars_nnunet.errors import did_you_mean
from soars_nnunet.json_text import JsonTextError, parse_json_text
from soars_nnunet.naming.halves import form_of, halves_problem, made_of
from soars_nnunet.naming.organ import TIERS as TIERS
from soars_nnunet.naming.organ import Organ as Organ
from soars_nnunet.naming.organ_names import guess_name, read_name
from soars_nnunet.schemas.fault import FaultError
from soars_nnunet.schemas.node import checked
from soars_nnunet.schemas.profile_schema import check_profile

COMPARE = "correct the profile; plans/hn42.json is an example"
"""What to do about a fault."""


class ProfileError(ValueError):
    """A profile JSON that cannot be used; the message says what to change."""


@dataclass(frozen=True)
class Profile:
    """A set of organs in up to three tiers. Immutable; every view is derived.

    Attributes:
        name: Name of the profile.
        organs: The organs, by label.
        description: What the set is.
        source: Where the organs come from.
        tolerance_sources: Citation by key of the organs' tolerances.
        halves: Left and right half by whole: organs that a dataset may have in the other form, see ``naming.halves``.

    Raises:
        ProfileError: At construction, if labels, names, mirrors, targets, composites, tolerances or halves
            contradict each other.
    """

    name: str
    organs: tuple[Organ, ...]
    description: str = ""
    source: str = ""
    tolerance_sources: dict[str, str] = field(default_factory=dict, hash=False)
    halves: dict[str, tuple[str, str]] = field(default_factory=dict, hash=False)
    _index: dict[str, str] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        _validate(self)
        self._index.update(_alias_index(self))

    @cached_property
    def by_name(self) -> dict[str, Organ]:
        """Organ by TG-263 name."""
        return {organ.name: organ for organ in self.organs}

    def tier(self, tier: str) -> tuple[Organ, ...]:
        """Organs of one tier (or ``all``), by label; empty where the profile has none."""
        return tuple(organ for organ in self.organs if tier in (organ.tier, "all"))

    @cached_property
    def targets(self) -> dict[str, tuple[Organ, ...]]:
        """Organs by detection target, in label order; empty without a small & hard tier."""
        targets: dict[str, tuple[Organ, ...]] = {}
        for organ in self.organs:
            if organ.target:
                targets[organ.target] = targets.get(organ.target, ()) + (organ,)
        return targets

    def in_one_tier(self) -> Profile:
        """The same organs, those of the mid-level tier among the anchors: one network then segments both.

        Organs with a detection target stay what they are.
        """
        organs = []
        for organ in self.organs:
            organs.append(organ if organ.target else replace(organ, tier="anchor"))
        return replace(self, organs=tuple(organs))

    @cached_property
    def sides(self) -> dict[str, str]:
        """``"L"`` or ``"R"`` by organ: what its name says, or else the opposite of what its mirror partner's says.

        Organs on the midline have none, nor have partners neither of whose names says a side, or both the same.
        """
        sides = {}
        for organ in self.organs:
            side = organ.named_side
            partner = self.by_name[organ.mirror].named_side if organ.mirror else None
            if side and side != partner:
                sides[organ.name] = side
            elif partner and side is None:
                sides[organ.name] = "R" if partner == "L" else "L"
        return sides

    def unknown_sides(self, names: Container[str]) -> list[str]:
        """What must be added so that left and right of some organs can be checked, a sentence each; empty where it can.

        Profiles whose organs are called as in TG-263 (``_L`` and ``_R``) need nothing.

        Args:
            names: Of these organs; pairs are checked of which one is among them.
        """
        faults = []
        by_reading: dict[tuple[str, str | None], Organ] = {}
        for organ in self.organs:
            if organ.name not in names and organ.mirror not in names:
                continue
            reading = read_name(organ.name)
            if reading:
                by_reading[reading.organ, reading.side] = organ
            if organ.mirror and organ.name < organ.mirror and organ.name not in self.sides:
                faults.append(
                    f"{organ.name} and {organ.mirror} are mirror partners, but their names do not say which is left "
                    f"and which right: add aliases with a side, as '{organ.name}_L' and '{organ.mirror}_R'"
                )
        for (name, side), organ in by_reading.items():
            other = by_reading.get((name, "R"))
            if side == "L" and other and organ.mirror is None and other.mirror is None:
                faults.append(
                    f"{organ.name} and {other.name} are left and right of one organ, but do not name each other: add "
                    f'"mirror": "{other.name}" and "mirror": "{organ.name}"'
                )
        return faults

    def mirrored(self, name: str) -> str:
        """Organ or detection target on the other side; the name itself on the midline.

        Raises:
            KeyError: If the profile has neither an organ nor a target of that name.
        """
        if name in self.by_name:
            return self.by_name[name].mirror or name
        first = self.targets[name][0]
        if first.mirror is None:
            return name
        return self.by_name[first.mirror].target or name

    def resolve(self, name: str) -> Organ | None:
        """Organ that a dataset's label name means, or None.

        TG-263 names and aliases come first, then spellings of clinics with side words anywhere, see ``read_name``.
        """
        found = self.resolve_listed(name)
        if found:
            return found
        reading = read_name(name)
        read = self._readings.get((reading.organ, reading.side)) if reading else None
        return self.by_name[read] if read else None

    def resolve_listed(self, name: str) -> Organ | None:
        """Organ that a name means by the profile's own TG-263 names and aliases alone, or None."""
        found = self._index.get(normalise(name))
        return self.by_name[found] if found else None

    def with_aliases(self, aliases: Mapping[str, str]) -> Profile:
        """The same organs with further aliases.

        Args:
            aliases: Organ by alias, by any name that the profile knows.

        Raises:
            ProfileError: If one names no organ, or the alias is another organ's name.
        """
        added: dict[str, tuple[str, ...]] = {}
        for alias, name in aliases.items():
            organ = self.resolve(name)
            if organ is None:
                asked = " or ".join(self.suggest(name))
                hint = f"did you mean {asked}?" if asked else f"it has {', '.join(self.by_name)}"
                raise ProfileError(f"alias '{alias}': profile '{self.name}' has no organ '{name}'; {hint}")
            added[organ.name] = (*added.get(organ.name, ()), alias)
        organs = [replace(organ, aliases=(*organ.aliases, *added.get(organ.name, ()))) for organ in self.organs]
        return replace(self, organs=tuple(organs))

    def organs_of(self, name: str) -> tuple[str, ...]:
        """Organs of which a name says something.

        Returns:
            The organ that it means; both halves of the whole that it means, or the whole of the half; else nothing.
        """
        organ = self.resolve(name)
        if organ:
            return (organ.name,)
        form = form_of(name, self.halves)
        return made_of(form, self.halves) if form else ()

    def suggest(self, name: str) -> tuple[str, ...]:
        """Organs that a name without an organ may have meant, for "did you mean"; both sides where it has none."""
        guess = guess_name(name)
        if guess is None or self.resolve(name):
            return ()
        sides = (guess.side,) if guess.side else (None, "L", "R")
        found = (self._readings.get((guess.organ, side)) for side in sides)
        return tuple(name for name in found if name)

    @cached_property
    def _readings(self) -> dict[tuple[str, str | None], str]:
        """Organ by what its names are read as; readings that would mean two organs are left out."""
        readings: dict[tuple[str, str | None], set[str]] = {}
        for organ in self.organs:
            for alias in organ.spellings:
                reading = read_name(alias)
                if reading:
                    readings.setdefault((reading.organ, reading.side), set()).add(organ.name)
        return {key: next(iter(names)) for key, names in readings.items() if len(names) == 1}

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; ``Profile.from_dict`` reads it back."""
        halves = {whole: list(names) for whole, names in self.halves.items()}
        return {
            "name": self.name,
            "description": self.description,
            "source": self.source,
            "tolerance_sources": dict(self.tolerance_sources),
            **({"halves": halves} if halves else {}),
            "organs": [_row(organ) for organ in self.organs],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Profile:
        """Build a profile from parsed JSON.

        Raises:
            ProfileError: On missing or unknown keys, values of another type or out of range, or a contradiction; all
                faults of the first three kinds at once.
        """
        try:
            checked(data, "profile", lambda node: check_profile(node, ORGAN_KEYS), advice=COMPARE)
        except FaultError as fault:
            raise ProfileError(str(fault)) from fault
        return cls(
            name=data["name"],
            organs=tuple(_organ(row) for row in data["organs"]),
            description=data.get("description", ""),
            source=data.get("source", ""),
            tolerance_sources=dict(data.get("tolerance_sources", {})),
            halves={whole: tuple(names) for whole, names in data.get("halves", {}).items()},
        )


ORGAN_KEYS = tuple(field.name for field in fields(Organ))
"""What an organ's entry may have."""


def available_profiles() -> list[str]:
    """Names of the profiles that the package ships."""
    names = []
    for path in resources.files("soars_nnunet.plans").iterdir():
        if path.name.endswith(".json") and '"organs"' in path.read_text(encoding="utf-8"):
            names.append(path.name.removesuffix(".json"))
    return sorted(names)


def load_profile(name_or_path: str | Path) -> Profile:
    """Read a shipped profile by name, or any profile by the path of its JSON file.

    Raises:
        ProfileError: If there is no such profile, or it contradicts itself.
    """
    text = str(name_or_path)
    is_shipped = Path(text).suffix != ".json"
    path: Any = resources.files("soars_nnunet.plans") / f"{text}.json" if is_shipped else Path(text)
    if not path.is_file() or (is_shipped and text not in available_profiles()):
        raise ProfileError(
            f"no profile '{text}': expected one of {', '.join(available_profiles())} or the path of a .json file"
            f"{did_you_mean(text, available_profiles())}"
        )
    try:
        data = parse_json_text(path.read_bytes(), finite=True)
    except OSError as error:
        raise ProfileError(f"profile {text} cannot be read: {error.strerror or error}") from error
    except JsonTextError as error:
        raise ProfileError(f"profile {text} is not valid JSON: {error}; correct the file") from error
    return Profile.from_dict(data)


def normalise(name: str) -> str:
    """Spelling by which names are compared: without case, spaces, ``_``, ``-`` and ``.``."""
    return re.sub(r"[\s_\-.]+", "", name).lower()


def _row(organ: Organ) -> dict[str, Any]:
    """An organ's entry, as JSON holds it."""
    return {**asdict(organ), "composite": list(organ.composite), "aliases": list(organ.aliases)}


def _organ(row: dict[str, Any]) -> Organ:
    composite = tuple(row.get("composite", ()))
    aliases = tuple(row.get("aliases", ()))
    return Organ(**{**row, "composite": composite, "aliases": aliases})


def _alias_index(profile: Profile) -> dict[str, str]:
    """Organ by each of its normalised names.

    Raises:
        ProfileError: If a name means two organs.
    """
    index: dict[str, str] = {}
    for organ in profile.organs:
        for alias in organ.spellings:
            other = index.setdefault(normalise(alias), organ.name)
            if other != organ.name:
                raise ProfileError(f"profile '{profile.name}': alias '{alias}' means both {other} and {organ.name}")
    return index


def _validate(profile: Profile) -> None:
    """Check that labels, names, mirrors, targets, composites and tolerances do not contradict each other.

    Raises:
        ProfileError: At the first contradiction.
    """

    def fail(text: str) -> NoReturn:
        raise ProfileError(f"profile '{profile.name}': {text}")

    if not profile.organs:
        fail("expected at least one organ, got none")
    by_name = {organ.name: organ for organ in profile.organs}
    if len(by_name) != len(profile.organs):
        fail("expected every organ once, got a name twice")
    by_label: dict[int, str] = {}
    for organ in profile.organs:
        if organ.label in by_label:
            fail(f"two organs with one label: {by_label[organ.label]} and {organ.name} both have {organ.label}")
        by_label[organ.label] = organ.name
        problem = _organ_problem(organ, by_name) or _tolerance_problem(organ, profile)
        if problem:
            fail(problem)
    if sorted(by_label) != list(range(1, len(by_label) + 1)):
        fail(f"labels must be 1 to {len(by_label)} without gaps, got {sorted(by_label)}")
    problem = halves_problem(profile.halves, {organ.name: organ.mirror for organ in profile.organs})
    if problem:
        fail(problem)
    if not profile.tier("anchor"):
        fail("expected at least one anchor organ: the other tiers are guided by anchors")


def _organ_problem(organ: Organ, by_name: dict[str, Organ]) -> str | None:
    """What is wrong with an organ's tier, target or references, or None."""
    if organ.tier not in TIERS:
        return f"{organ.name}: expected a tier of {', '.join(TIERS)}, got '{organ.tier}'"
    if (organ.target is not None) != (organ.tier == "small_hard"):
        return f"{organ.name}: a detection target belongs to each small_hard organ and to no other"
    mirror = (organ.mirror,) if organ.mirror else ()
    for other in mirror + organ.composite:
        if other not in by_name:
            return f"{organ.name} names the unknown organ '{other}'; add it to the profile or remove the reference"
    if organ.mirror and by_name[organ.mirror].mirror != organ.name:
        return f"{organ.name}: its mirror partner {organ.mirror} does not name it back"
    return None


def _tolerance_problem(organ: Organ, profile: Profile) -> str | None:
    """What is wrong with an organ's tolerance, or None."""
    mm, source = organ.tolerance_mm, organ.tolerance_source
    if mm is None and source is None:
        return None
    if isinstance(mm, bool) or not isinstance(mm, (int, float)) or not 0 < mm < 100:
        return f"{organ.name}: expected a tolerance_mm between 0 and 100, got {mm!r}"
    if source not in profile.tolerance_sources:
        known = ", ".join(profile.tolerance_sources) or "none"
        return f"{organ.name}: expected a tolerance_source out of tolerance_sources ({known}), got {source!r}"
    return None
