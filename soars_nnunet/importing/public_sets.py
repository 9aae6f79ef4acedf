"""Facts about public data sets, read from ``plans/import_*.json``: layout, names, labels, splits.

A set's files are told by regular expressions that match the end of a path, so that any folder above
or below the published one can be given. Their groups are ``case``, ``number``, ``group`` and
``structure``; ``{observer}`` and the like stand for the user's choices.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from soars_nnunet.errors import InputError, did_you_mean
from soars_nnunet.profile import Profile, load_profile

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

    @property
    def is_union(self) -> bool:
        """Whether it is made of several published structures."""
        return len(self.published) > 1


@dataclass(frozen=True)
class FilePattern:
    """What the end of a path says of a file.

    Attributes:
        role: One of ``ROLES``.
        regex: Matches the end of a path; groups as the module says.
    """

    role: str
    regex: re.Pattern[str]


@dataclass(frozen=True)
class SparseFormat:
    """How sparse CSV files list the voxels of a volume.

    Attributes:
        shape: Voxels along each axis of the flat index, in C order.
        axes: By axis, the direction in which its index grows: ``posterior``, ``left``, ``inferior``, ...
        hu_offset: Added to the stored values of a CT.
        outside_hu: Value of voxels that a CT does not list.
    """

    shape: tuple[int, ...]
    axes: tuple[str, ...]
    hu_offset: float
    outside_hu: int

    @property
    def num_voxels(self) -> int:
        """Voxels of the volume."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Group:
    """Cases that the set publishes together, told by their numbers or by a folder's name.

    Attributes:
        name: Of the group, and of its folder in lower case.
        count: Cases that are published.
        first: Lowest number, where numbers tell.
        last: Highest number.
    """

    name: str
    count: int
    first: int | None = None
    last: int | None = None

    def has_number(self, number: int | None) -> bool:
        """Whether a case's number is one of the group's."""
        if number is None or self.first is None or self.last is None:
            return False
        return self.first <= number <= self.last


@dataclass(frozen=True)
class PublicSet:
    """A table of ``plans/`` with the user's choices filled in; see the module's docstring.

    Attributes:
        name: Of the set.
        dataset: Name of the written dataset, after ``DatasetNNN_``.
        description: What the set is.
        source: Where it was published.
        profile: Its organs' precedences, and its structures where the table lists none.
        case_name: Format of the written case names, of ``case`` and ``number``.
        files: What the ends of paths mean; the first that matches counts.
        structures: What can be written, in label order.
        groups: Cases that belong together; the first that matches counts.
        test_groups: Those that become the test split.
        choices: What the user chose, by key.
        sparse: How CSV files list voxels, where the set has such files.
        notes: For the report.
    """

    name: str
    dataset: str
    description: str
    source: str
    profile: str
    case_name: str
    files: tuple[FilePattern, ...]
    structures: tuple[Structure, ...]
    groups: tuple[Group, ...] = ()
    test_groups: tuple[str, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    sparse: SparseFormat | None = None
    notes: tuple[str, ...] = ()

    def group_of(self, number: int | None, folder: str | None) -> str | None:
        """Name of the group that a case is in, or None."""
        for group in self.groups:
            if group.has_number(number) or (folder or "").lower() == group.name:
                return group.name
        return None

    def precedence(self, structure: Structure, profile: Profile) -> int:
        """Which of two structures keeps a voxel of both: the profile's column, or else the table's.

        Raises:
            InputError: If neither says.
        """
        for known in (profile, load_profile(FALLBACK_PROFILE)):
            organ = known.resolve(structure.name)
            if organ:
                return organ.precedence
        if structure.precedence is None:
            raise InputError(f"set {self.name}: expected a precedence for {structure.name}, found none; add it")
        return structure.precedence


def available_sets() -> list[str]:
    """Names of the sets that have a table."""
    sets = []
    for path in resources.files("soars_nnunet.plans").iterdir():
        if path.name.startswith(PREFIX) and path.name.endswith(".json"):
            sets.append(path.name.removeprefix(PREFIX).removesuffix(".json"))
    return sorted(sets)


def read_table(name: str) -> dict[str, Any]:
    """Table of a set as parsed JSON.

    Raises:
        InputError: If there is none of that name.
    """
    if name not in available_sets():
        sets = available_sets()
        raise InputError(f"no set '{name}': expected one of {', '.join(sets)}{did_you_mean(name, sets)}")
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
    chosen = _chosen(table.get("choices", {}), choices)
    test_groups = table.get("test_groups", {}).get(chosen.get("test"), ())
    return PublicSet(
        name=table["name"],
        dataset=_fill(table["dataset"], chosen),
        description=table["description"],
        source=table["source"],
        profile=table["profile"],
        case_name=table["case_name"],
        files=_file_patterns(table["files"], chosen),
        structures=tuple(_structure(row) for row in table["structures"]),
        groups=tuple(Group(**row) for row in table.get("groups", ())),
        test_groups=tuple(test_groups),
        choices=chosen,
        sparse=_sparse_format(table.get("sparse")),
        notes=tuple(table.get("notes", ())),
    )


def _chosen(offered: Mapping[str, Any], choices: Sequence[str]) -> dict[str, str]:
    """Value by key, the defaults included.

    Raises:
        InputError: If a key or value is not offered.
    """
    chosen = {key: row["default"] for key, row in offered.items()}
    for text in choices:
        key, _, value = text.partition("=")
        if key not in offered or value not in offered[key]["values"]:
            known = [f"{k}={'|'.join(row['values'])}" for k, row in offered.items()]
            expected = f"one of {', '.join(known)}" if known else "nothing for this set"
            raise InputError(f"--choose {text}: expected {expected}")
        chosen[key] = value
    return chosen


def _fill(text: str, chosen: Mapping[str, str]) -> str:
    """Put choices in the place of ``{key}``; other braces, as of regular expressions, stay."""
    for key, value in chosen.items():
        text = text.replace(f"{{{key}}}", value)
    return text


def _file_patterns(by_role: Mapping[str, Sequence[str]], chosen: Mapping[str, str]) -> tuple[FilePattern, ...]:
    patterns = []
    for role, texts in by_role.items():
        for text in texts:
            regex = re.compile(rf"(?:^|/)(?:{_fill(text, chosen)})$", re.IGNORECASE)
            patterns.append(FilePattern(role, regex))
    return tuple(patterns)


def _structure(row: Mapping[str, Any]) -> Structure:
    published = row.get("union") or [row.get("published", row["name"])]
    return Structure(
        name=row["name"],
        published=tuple(published),
        labels=tuple(row.get("labels", ())),
        write=row.get("write", True),
        precedence=row.get("precedence"),
        aliases=tuple(row.get("aliases", ())),
    )


def _sparse_format(row: Mapping[str, Any] | None) -> SparseFormat | None:
    if row is None:
        return None
    return SparseFormat(
        shape=tuple(row["shape"]),
        axes=tuple(row["axes"]),
        hu_offset=row["hu_offset"],
        outside_hu=row["outside_hu"],
    )
