"""Options that later runs of ``soars-stratify`` for the same dataset take up again unless they are given anew."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.raw_cases import find_dataset
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.errors import InputError
from soars_nnunet.profile import Profile, available_profiles, load_profile

OPTION = {
    "profile": "-p",
    "one_tier": "--one-tier",
    "baseline": "--baseline",
    "folds": "--folds",
    "not_annotated": "--not-annotated",
    "empty_means_absent": "--empty-means-absent",
    "patient_pattern": "--patient-pattern",
    "aliases": "--alias",
}
"""What the user types for each of them."""


@dataclass(frozen=True)
class StratifyChoices:
    """What a run was given; None for what it was not, which then is as it was before.

    Attributes:
        profile: Name of a shipped one, or absolute path of a file.
        one_tier: Mid-level organs among the anchors.
        baseline: Also a dataset of all organs.
        folds: Of the cross-validation.
        not_annotated: Absolute path of the file of organs that nobody drew.
        empty_means_absent: Organs without a voxel are truly absent.
        patient_pattern: Regular expression whose first group is the patient in a case name.
        aliases: Organ by name in the dataset; those that are given replace all of the last run.
    """

    profile: str | None = None
    one_tier: bool | None = None
    baseline: bool | None = None
    folds: int | None = None
    not_annotated: str | None = None
    empty_means_absent: bool | None = None
    patient_pattern: str | None = None
    aliases: dict[str, str] | None = None

    def completed(self, remembered: StratifyChoices) -> StratifyChoices:
        """The same with what was not given taken from another."""
        missing = {name: value for name, value in asdict(remembered).items() if getattr(self, name) is None}
        return replace(self, **missing)

    def typed(self) -> str:
        """As the user would type them; empty where all are None or off."""
        words = []
        for name, option in OPTION.items():
            value = getattr(self, name)
            if isinstance(value, dict):
                words += [f"{option} '{alias}={organ}'" for alias, organ in value.items()]
            elif value is True:
                words.append(option)
            elif value not in (None, False):
                words.append(f"{option} {value}")
        return " ".join(words)

    def read_profile(self) -> Profile:
        """The profile, in one tier if that is wanted.

        Raises:
            InputError: If none is given.
            ProfileError: If there is none, or it contradicts itself.
        """
        if self.profile is None:
            raise InputError(
                "-p: expected a profile, as the dataset was not stratified before; add -p NAME or its file"
            )
        profile = load_profile(self.profile)
        return profile.in_one_tier() if self.one_tier else profile


NAMES = tuple(field.name for field in fields(StratifyChoices))
"""Keys of the file."""


def lasting_profile(given: str | None) -> str | None:
    """A profile as later runs find it: a file by its absolute path, a name as it is."""
    return str(Path(given).absolute()) if given is not None and Path(given).suffix == ".json" else given


def read_choices(dataset: int | str) -> StratifyChoices:
    """Choices of the last run for a dataset.

    Returns:
        Where they were not kept, as by earlier versions, what the record says: folds, pattern, name of the profile.

    Raises:
        InputError: If the file is not of this form.
        MissingArtifactError: If there is no such dataset.
    """
    source = find_dataset(dataset)
    path = Cascade.stratify_options(source)
    if path.is_file():
        return _from_json(read_json(path), path)
    try:
        record = Cascade.load(source)
    except ValueError:  # none, or a damaged one, which is written anew
        return StratifyChoices()
    known = record.profile.name in available_profiles()
    return StratifyChoices(
        profile=record.profile.name if known else None,
        one_tier=True if known and _was_one_tier(record.profile) else None,
        folds=record.num_folds,
        patient_pattern=record.patient_pattern,
        baseline="baseline" in record.datasets or None,
    )


def _was_one_tier(profile: Profile) -> bool:
    """Whether a shipped profile was recorded in one tier."""
    shipped = load_profile(profile.name)
    return bool(shipped.tier("mid_level")) and not profile.tier("mid_level")


def remember(source: str, choices: StratifyChoices) -> None:
    """Write what later runs for a source dataset take up again."""
    write_json(Cascade.stratify_options(source), asdict(choices))


def _from_json(data: Any, path: Path) -> StratifyChoices:
    refusal = f"{path}: expected {', '.join(NAMES)} of soars-stratify, got others; delete it and give the options anew"
    if not isinstance(data, Mapping) or not set(data) <= set(NAMES):
        raise InputError(refusal)
    kinds: dict[str, type] = {"folds": int, "aliases": dict}
    kinds.update(dict.fromkeys(("one_tier", "baseline", "empty_means_absent"), bool))
    for name, value in data.items():
        if value is not None and type(value) is not kinds.get(name, str):
            raise InputError(refusal)
    if not all(isinstance(organ, str) for organ in (data.get("aliases") or {}).values()):
        raise InputError(refusal)
    return StratifyChoices(**data)
