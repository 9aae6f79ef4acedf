"""Which organs of a profile the labels of a dataset mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from soars_nnunet.errors import InputError
from soars_nnunet.profile import Organ, Profile

NO_ORGANS = ("background", "ignore")
"""Names of nnU-Net's own."""


@dataclass(frozen=True)
class LabelMatch:
    """A dataset's labels seen from a profile.

    Attributes:
        labels: The dataset's label by TG-263 name.
        unknown: Dataset organs that the profile does not know.
        absent: Profile organs that the dataset does not name.
        read_as: Organ by name in the dataset, of names that the profile does not list but that are read.
        doubtful: Organ by name in the dataset, of names that are read as an organ that another name means, too;
            they are not used, and are among ``unknown``.
    """

    labels: dict[str, int]
    unknown: list[str]
    absent: list[str]
    read_as: dict[str, str] = field(default_factory=dict)
    doubtful: dict[str, str] = field(default_factory=dict)


def match_labels(labels: Mapping[str, Any], profile: Profile) -> LabelMatch:
    """Find the profile's organs among the labels of a dataset.json.

    Names that the profile lists go before names that are read.

    Raises:
        InputError: If two listed names mean one organ, or one label belongs to two organs.
    """
    found: dict[str, int] = {}
    unlisted: dict[str, int] = {}
    for name, value in labels.items():
        if name in NO_ORGANS:
            continue
        if not isinstance(value, int):
            raise InputError(
                f"dataset.json: expected one integer for label '{name}', got {value}; regions are unusable"
            )
        organ = profile.resolve_listed(name)
        if organ is None:
            unlisted[name] = value
        else:
            _enter(found, name, organ, value)
    read_as, doubtful = _read(unlisted, profile, found)
    for name, organ_name in read_as.items():
        _enter(found, name, profile.by_name[organ_name], unlisted[name])
    unknown = [name for name in unlisted if name not in read_as]
    absent = [organ.name for organ in profile.organs if organ.name not in found]
    return LabelMatch(found, unknown, absent, read_as, doubtful)


def _enter(found: dict[str, int], name: str, organ: Organ, value: int) -> None:
    """Enter an organ's label.

    Raises:
        InputError: If the organ or the label is there already.
    """
    if organ.name in found or value in found.values():
        raise InputError(
            f"dataset.json: two organs with one label, or two labels for one organ, at '{name}' "
            f"({organ.name}, label {value}); give each organ one name and one number"
        )
    found[organ.name] = value


def _read(names: Iterable[str], profile: Profile, found: Mapping[str, int]) -> tuple[dict[str, str], dict[str, str]]:
    """Organ by name, of names that are read: those whose organ no other name means, and the others."""
    by_name = {}
    for name in names:
        organ = profile.resolve(name)
        if organ:
            by_name[name] = organ.name
    count = Counter([*by_name.values(), *found])
    read_as = {name: organ for name, organ in by_name.items() if count[organ] == 1}
    doubtful = {name: organ for name, organ in by_name.items() if count[organ] > 1}
    return read_as, doubtful
