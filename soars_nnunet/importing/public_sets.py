"""Facts about public data sets, read from ``plans/import_*.json``: layout, names, labels, splits.

A set's files are told by regular expressions that match the end of a path, so that any folder above
or below the published one can be given. Their groups are ``case``, ``number``, ``group`` and
``structure``; ``{observer}`` and the like stand for the user's choices.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from soars_nnunet.errors import InputError
from soars_nnunet.profile import Profile, ProfileError, load_profile, normalise

PREFIX = "import_"
ROLES = ("ct", "labels", "mask", "spacing", "ignored")
FALLBACK_PROFILE = "hn42"
"""Gives the precedence of organs that the chosen profile lacks."""


@dataclass(frozen=True)
class Structure:
    """One structure that a set can be imported with.

    Attributes:
        name: TG-263 name, or one by its rules, in the written dataset.
        published: Names in the set's files whose union the structure is; one for most.
        labels: Its values where the set has a label map.
        write: Whether it is written unless the user says which ones are.
        precedence: Where the profiles do not know the structure; the higher wins a voxel.
        aliases: Further spellings of a single published name.
    """

    name: str
    published: tuple[str, ...]
    labels: tuple[int, ...] = ()
    write: bool = True
    precedence: int | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Group:
    """Cases that the set publishes together: by their numbers (both ends included), or by a folder's name."""

    name: str
    count: int
    first: int | None = None
    last: int | None = None


@dataclass(frozen=True)
class PublicSet:
    """A table of ``plans/`` with the user's choices filled in; see the module's docstring."""

    name: str
    dataset: str
    description: str
    source: str
    profile: str
    case_name: str
    files: tuple[tuple[str, re.Pattern[str]], ...]
    structures: tuple[Structure, ...]
    groups: tuple[Group, ...] = ()
    test_groups: tuple[str, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    sparse: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()

    def group_of(self, number: int | None, folder: str | None) -> str | None:
        """Name of the group that a case is in, or None."""
        for group in self.groups:
            by_number = group.first is not None and number is not None and group.first <= number <= group.last
            if by_number or (folder or "").lower() == group.name:
                return group.name
        return None

    def precedence(self, structure: Structure, profile: Profile) -> int:
        """Which of two structures keeps a voxel of both: the profile's column, or else the table's.

        Raises:
            InputError: If neither says.
        """
        for known in (profile, load_profile(FALLBACK_PROFILE)):
            if organ := known.resolve(structure.name):
                return organ.precedence
        if structure.precedence is None:
            raise InputError(f"set {self.name}: expected a precedence for {structure.name}, found none; add it")
        return structure.precedence


@dataclass
class CaseFiles:
    """Files of one case by role; more than one CT or label map is for the caller to refuse."""

    name: str
    number: int | None
    group: str | None
    ct: list[Path] = field(default_factory=list)
    labels: list[Path] = field(default_factory=list)
    spacing: list[Path] = field(default_factory=list)
    masks: dict[str, list[Path]] = field(default_factory=dict)

    def paths(self) -> list[Path]:
        """All of them, sorted."""
        return sorted({*self.ct, *self.labels, *self.spacing, *(p for paths in self.masks.values() for p in paths)})


def available_sets() -> list[str]:
    """Names of the sets that have a table."""
    names = (path.name for path in resources.files("soars_nnunet.plans").iterdir())
    return sorted(n.removeprefix(PREFIX)[:-5] for n in names if n.startswith(PREFIX) and n.endswith(".json"))


def read_table(name: str) -> dict[str, Any]:
    """Table of a set as parsed JSON.

    Raises:
        InputError: If there is none of that name.
    """
    if name not in available_sets():
        raise InputError(f"no set '{name}': expected one of {', '.join(available_sets())}")
    return json.loads((resources.files("soars_nnunet.plans") / f"{PREFIX}{name}.json").read_text(encoding="utf-8"))


def load_set(name: str, choices: Sequence[str] = ()) -> PublicSet:
    """Read a table and fill in choices.

    Args:
        name: Of ``available_sets``.
        choices: ``KEY=VALUE`` each; the table's defaults stand for the others.

    Raises:
        InputError: If there is no such set or choice.
    """
    table = read_table(name)
    offered = table.get("choices", {})
    chosen = {key: row["default"] for key, row in offered.items()}
    for text in choices:
        key, _, value = text.partition("=")
        if key not in offered or value not in offered[key]["values"]:
            known = [f"{k}={'|'.join(row['values'])}" for k, row in offered.items()]
            raise InputError(f"--choose {text}: expected one of {', '.join(known) or 'nothing for this set'}")
        chosen[key] = value
    fill = _filler(chosen)
    return PublicSet(
        name=table["name"],
        dataset=fill(table["dataset"]),
        description=table["description"],
        source=table["source"],
        profile=table["profile"],
        case_name=table["case_name"],
        files=tuple(
            (role, re.compile(rf"(?:^|/)(?:{fill(pattern)})$", re.IGNORECASE))
            for role, patterns in table["files"].items()
            for pattern in patterns
        ),
        structures=tuple(_structure(row) for row in table["structures"]),
        groups=tuple(Group(**row) for row in table.get("groups", ())),
        test_groups=tuple(table.get("test_groups", {}).get(chosen.get("test"), ())),
        choices=chosen,
        sparse=table.get("sparse"),
        notes=tuple(table.get("notes", ())),
    )


def _filler(chosen: Mapping[str, str]) -> Any:
    def fill(text: str) -> str:
        for key, value in chosen.items():
            text = text.replace(f"{{{key}}}", value)
        return text

    return fill


def _structure(row: dict[str, Any]) -> Structure:
    published = tuple(row.get("union") or [row.get("published", row["name"])])
    labels, aliases = tuple(row.get("labels", ())), tuple(row.get("aliases", ()))
    return Structure(row["name"], published, labels, row.get("write", True), row.get("precedence"), aliases)


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
        organs = load_profile(profile or table.profile).organs
        rows = [Structure(o.name, (o.name,), aliases=(o.paper_name, *o.aliases)) for o in organs]
        profile = None
    if names and [normalise(name) for name in names] != ["all"]:
        wanted = {normalise(name): name for name in names}
        chosen = [r for r in rows if wanted.keys() & {normalise(n) for n in (r.name, *_own_names(r))}]
        found = {normalise(n) for row in chosen for n in (row.name, *_own_names(row))}
        if unknown := [name for key, name in wanted.items() if key not in found]:
            raise InputError(
                f"--structures: {table.name} has no {', '.join(unknown)}; it has {', '.join(r.name for r in rows)}"
            )
    elif names:
        chosen = [row for row in rows if len(row.published) == 1]
    elif profile:
        known = load_profile(profile)
        chosen = [row for row in rows if known.resolve(row.name)]
        organs = [known.resolve(row.name).name for row in chosen]
        if twice := sorted({name for name in organs if organs.count(name) > 1}):
            raise ProfileError(f"profile '{profile}': two structures of {table.name} mean {', '.join(twice)}")
    else:
        chosen = [row for row in rows if row.write]
    if not chosen:
        raise InputError(f"{table.name}: none of its structures is in profile {profile}; see --structures")
    return chosen


def _own_names(row: Structure) -> tuple[str, ...]:
    return row.published if len(row.published) == 1 else ()


def _with_label_unions(rows: Sequence[Structure]) -> list[Structure]:
    """Rows in which unions also have the labels of what they unite."""
    labels = {row.published[0]: row.labels for row in rows if len(row.published) == 1}
    done = []
    for row in rows:
        if len(row.published) > 1 and not row.labels:
            united = (label for name in row.published for label in labels[name])
            row = Structure(row.name, row.published, tuple(dict.fromkeys(united)), row.write, row.precedence)
        done.append(row)
    return done


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
    for folder, subfolders, files in os.walk(source.resolve(), followlinks=True):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith((".", "__MACOSX")))
        for file in sorted(name for name in files if not name.startswith(".")):
            path = Path(folder, file)
            role, match = _classify(table, path)
            if match is None:
                foreign.append(path)
            elif role != "ignored":
                _add(table, cases, role, match.groupdict(), path)
    if not cases:
        shown = ", ".join(sorted({path.name for path in foreign})[:5]) or "no files"
        raise InputError(
            f"{source}: expected the layout of {table.name} (choices: {dict(table.choices)}), found {shown}; "
            f"see the patterns in plans/{PREFIX}{table.name}.json"
        )
    return sorted(cases.values(), key=lambda case: case.name), foreign


def _classify(table: PublicSet, path: Path) -> tuple[str, re.Match[str] | None]:
    for role, pattern in table.files:
        if match := pattern.search(path.as_posix()):
            return role, match
    return "", None


def _add(table: PublicSet, cases: dict[str, CaseFiles], role: str, groups: dict[str, str | None], path: Path) -> None:
    number = int(groups["number"]) if groups.get("number") else None
    name = table.case_name.format(case=groups["case"], number=number)
    case = cases.setdefault(name, CaseFiles(name, number, table.group_of(number, groups.get("group"))))
    if role == "mask":
        case.masks.setdefault(groups["structure"], []).append(path)
    else:
        getattr(case, role).append(path)
