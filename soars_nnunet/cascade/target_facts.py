"""What is known of detection targets once their crops are cut: how large VOIs are, how high peaks, how far off."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.manifest_checks import check_target_facts
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.schemas.node import Node, checked


@dataclass(frozen=True)
class TargetFacts:
    """Facts of a detection target, learnt out of fold from the training cases.

    Attributes:
        size_mm: Size of its VOI (Z, Y, X), in mm.
        low_confidence_below: Height of a heat map's peak under which a detection is of low confidence, 0 to 1.
        mean_error_mm: Mean distance of the peaks from the true centres, in mm.
        missed: How many peaks missed the target.
        cases: In how many cases the target is wholly drawn.
    """

    size_mm: tuple[float, ...]
    low_confidence_below: float
    mean_error_mm: float
    missed: int
    cases: int

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TargetFacts:
        """Facts out of JSON that ``check_target_facts`` has taken."""
        return cls(
            size_mm=tuple(data["size_mm"]),
            low_confidence_below=data["low_confidence_below"],
            mean_error_mm=data["mean_error_mm"],
            missed=data["missed"],
            cases=data["cases"],
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; ``from_dict`` reads it back."""
        return {**asdict(self), "size_mm": list(self.size_mm)}


def _check_facts(node: Node) -> None:
    for facts in node.entries().values():
        with node.part():
            check_target_facts(facts)


def read_target_facts(path: Path) -> dict[str, TargetFacts]:
    """Facts by target; empty where there is no such file yet."""
    if not path.is_file():
        return {}
    facts = {}
    data = read_json(path)
    checked(data, str(path), _check_facts, advice="delete its folder, and run soars-channels")
    for target, row in data.items():
        facts[target] = TargetFacts.from_dict(row)
    return facts


def write_target_facts(path: Path, facts: dict[str, TargetFacts]) -> None:
    """Write facts by target."""
    rows = {}
    for target, row in facts.items():
        rows[target] = row.to_dict()
    write_json(path, rows)
