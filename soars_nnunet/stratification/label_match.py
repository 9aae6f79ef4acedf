"""Which organs of a profile the labels of a dataset mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from soars_nnunet.errors import InputError
from soars_nnunet.profile import Profile

NO_ORGANS = ("background", "ignore")
"""Names of nnU-Net's own."""


@dataclass(frozen=True)
class LabelMatch:
    """A dataset's labels seen from a profile.

    Attributes:
        labels: The dataset's label by TG-263 name.
        unknown: Dataset organs that the profile does not know.
        absent: Profile organs that the dataset does not name.
    """

    labels: dict[str, int]
    unknown: list[str]
    absent: list[str]


def match_labels(labels: Mapping[str, Any], profile: Profile) -> LabelMatch:
    """Find the profile's organs among the labels of a dataset.json.

    Raises:
        InputError: If two dataset labels mean one organ, or one label belongs to two organs.
    """
    found: dict[str, int] = {}
    unknown = []
    for name, value in labels.items():
        if name in NO_ORGANS:
            continue
        if not isinstance(value, int):
            raise InputError(
                f"dataset.json: expected one integer for label '{name}', got {value}; regions are unusable"
            )
        organ = profile.resolve(name)
        if organ is None:
            unknown.append(name)
            continue
        if organ.name in found or value in found.values():
            raise InputError(
                f"dataset.json: two organs with one label, or two labels for one organ, at '{name}' "
                f"({organ.name}, label {value}); give each organ one name and one number"
            )
        found[organ.name] = value
    absent = [organ.name for organ in profile.organs if organ.name not in found]
    return LabelMatch(found, unknown, absent)
