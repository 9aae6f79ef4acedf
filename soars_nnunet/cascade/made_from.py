"""What a trained cascade was made from, as far as later steps must not contradict it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import json_hash, read_json


@dataclass(frozen=True)
class MadeFrom:
    """What a manifest was made from.

    Attributes:
        stratification: Hash of the organs, labels, split and organs not annotated (``stratification_hash``).
        tilings: By guided branch, how the networks ran whose output guided its training; empty for the default.
        genotype_folds: By branch whose genotype a search found: the search's fold.
    """

    stratification: str
    tilings: dict[str, dict[str, Any]] = field(default_factory=dict)
    genotype_folds: dict[str, int | str] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> MadeFrom:
        """Out of JSON.

        Raises:
            KeyError: If a value is missing.
            TypeError: If the data is something else.
        """
        return cls(
            stratification=str(data["stratification"]),
            tilings={str(key): dict(value) for key, value in dict(data["tilings"]).items()},
            genotype_folds=dict(data["genotype_folds"]),
        )

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        return asdict(self)


def made_from(cascade: Cascade, plans_name: str) -> MadeFrom:
    """What the planned branches of a variant are made from."""
    tilings = {}
    for branch in cascade.branches:
        plans = cascade.plans_of(branch.key, plans_name)
        if branch.guided_by is None or not cascade.plans(branch.key, plans).is_file():
            continue
        settings = PlansFile.read(cascade.plans(branch.key, plans)).settings
        guide = BRANCHES[branch.guided_by].key
        folder = cascade.channels(guide, cascade.plans_of(guide, plans_name), settings.in_sample)
        if settings.guidance and (folder / "provenance.json").is_file():
            tilings[branch.key] = read_json(folder / "provenance.json").get("tiling", {})
    options = cascade.options(plans_name)
    folds = read_json(options).get("genotype_folds") if options.is_file() else None
    return MadeFrom(stratification_hash(cascade), tilings, dict(folds or {}))


def stratification_hash(cascade: Cascade) -> str:
    """Hash of all facts of a stratification on which labels, networks and their scores depend."""
    organs = []
    for organ in cascade.profile.organs:
        organs.append([organ.name, organ.label, organ.tier, organ.mirror, organ.target, organ.precedence])
    facts = {
        "organs": organs,
        "labels": cascade.labels,
        "split": cascade.split_sha256,
        "not_annotated": {case: sorted(names) for case, names in cascade.not_annotated.items()},
        "empty": {case: sorted(names) for case, names in cascade.empty.items()},
        "patient_pattern": cascade.patient_pattern,
    }
    return json_hash(facts)
