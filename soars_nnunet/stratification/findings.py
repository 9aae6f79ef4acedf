"""What ``stratify`` made of a dataset, and what it noticed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from soars_nnunet.cascade.record import Cascade
from soars_nnunet.errors import InputError
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

    def note(self, case: str, empty: list[str], listed: list[str], empty_means_absent: bool) -> None:
        """Take in a case.

        Args:
            case: Its name.
            empty: Its organs without a voxel.
            listed: Those listed as not annotated.
            empty_means_absent: Organs without a voxel are truly absent; otherwise they count as not annotated.
        """
        assumed = [] if empty_means_absent else [name for name in empty if name not in listed]
        lacking = set(listed) | set(assumed)
        _enter(self.empty, case, empty)
        _enter(self.not_annotated, case, [name for name in self.cascade.labels if name in lacking])
        _enter(self.assumed, case, assumed)
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


def _enter(table: dict[str, list[str]], case: str, names: list[str]) -> None:
    """Note names of a case, if there are any."""
    if names:
        table[case] = names
