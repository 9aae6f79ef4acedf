"""What ``stratify`` made of a dataset, and what it noticed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from soars_nnunet.cascade.record import Cascade
from soars_nnunet.errors import InputError
from soars_nnunet.stratification.branch_files import WrittenLabels
from soars_nnunet.stratification.derive import DerivedFacts
from soars_nnunet.stratification.label_table import LabelRow


@dataclass
class Stratification:
    """What ``stratify`` made and what it noticed.

    Attributes:
        cascade: The record.
        unknown: Dataset organs that the profile does not know.
        absent: Profile organs that the dataset does not name.
        empty: Per case, profile organs of the dataset without a voxel.
        not_annotated: Per case, organs that are there but not annotated: training neither rewards nor punishes them.
        assumed: The part of ``not_annotated`` that no list names: organs without a voxel.
        rows: What became of every label of the dataset.
        derived: Per case, what could not be derived or is doubtful, and the planes that divided organs.
        unused: Per case, organs with a contour that is not used because they are listed as not annotated.
        partly: Per case with voxels labelled ignore, organs that touch them or have no voxel.
        ignoring: Cases with voxels labelled ignore.
        refused: Why, by case that cannot be used.
    """

    cascade: Cascade
    unknown: list[str]
    absent: list[str]
    empty: dict[str, list[str]] = field(default_factory=dict)
    not_annotated: dict[str, list[str]] = field(default_factory=dict)
    assumed: dict[str, list[str]] = field(default_factory=dict)
    unused: dict[str, list[str]] = field(default_factory=dict)
    rows: list[LabelRow] = field(default_factory=list)
    derived: dict[str, DerivedFacts] = field(default_factory=dict)
    partly: dict[str, list[str]] = field(default_factory=dict)
    ignoring: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def note(self, case: str, organs: WrittenLabels, listed: list[str], empty_means_absent: bool) -> None:
        """Take in a case.

        Args:
            case: Its name.
            organs: What its label map shows.
            listed: Those listed as not annotated.
            empty_means_absent: Organs without a voxel are truly absent; otherwise they count as not annotated.
        """
        empty = organs.empty
        assumed = [] if empty_means_absent else [name for name in empty if name not in listed]
        lacking = set(listed) | set(assumed)
        _enter(self.empty, case, empty)
        _enter(self.not_annotated, case, [name for name in self.cascade.labels if name in lacking])
        _enter(self.assumed, case, assumed)
        _enter(self.partly, case, organs.partly)
        if organs.has_ignored:
            self.ignoring.append(case)
        _enter(self.unused, case, [name for name in listed if name not in empty])

    def derived_to_dict(self) -> dict[str, Any]:
        """JSON-able record of derived organs: what is made of what, and by case the planes and what is doubtful."""
        return {
            "derived": [str(derivation) for derivation in self.cascade.derived],
            "cases": {case: asdict(facts) for case, facts in self.derived.items()},
        }

    def require_contours(self, cases: Collection[str]) -> None:
        """Check that every organ is drawn in some case.

        Raises:
            InputError: Naming the organs that are not.
        """
        never = set(self.cascade.labels)
        for case in cases:
            without = set(self.empty.get(case, ())) | set(self.not_annotated.get(case, ()))
            never &= without
        if never:
            listed = ", ".join(name for name in self.cascade.labels if name in never)
            raise InputError(
                f"{self.cascade.source}: no case has a contour of {listed}; "
                "remove these names from dataset.json's labels"
            )

    def require_all(self) -> None:
        """Check that every case could be used, or that the user accepted it without some.

        Raises:
            InputError: Saying of each other case why it cannot.
        """
        unaccepted = {case: why for case, why in self.refused.items() if case not in self.cascade.left_out}
        if unaccepted:
            raise InputError(f"{describe_refused(self.cascade.source, unaccepted)}; the others are stratified")


def describe_refused(source: str, refused: Mapping[str, str]) -> str:
    """What is said of cases that cannot be used, and what can be done."""
    reasons = []
    for case, why in refused.items():
        reasons.append(why if case in why else f"{case}: {why}")
    return (
        f"{source}: {len(refused)} case(s) cannot be used: {'; '.join(reasons)}; mend them and run this again, or go "
        "on without them: --leave-out"
    )


def _enter(table: dict[str, list[str]], case: str, names: list[str]) -> None:
    """Note names of a case, if there are any."""
    if names:
        table[case] = names
