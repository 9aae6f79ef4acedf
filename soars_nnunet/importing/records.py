"""What an import wrote: a record a case, and all of them together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soars_nnunet.errors import InputError
from soars_nnunet.importing.findings import Finding, format_findings

TRAINING = "training"
TEST = "test"
LABELS_ONLY = "labels_only"

CASE_LISTS = {TRAINING: "cases.json", TEST: "cases_test.json", LABELS_ONLY: "cases_labels_only.json"}
"""Per kind of case, the file of its structures that nobody drew; soars-stratify takes the first."""


@dataclass(frozen=True)
class CaseRecord:
    """What was written of one case, and from what.

    Attributes:
        key: Hash of everything that it was made from.
        kind: Key of ``CASE_LISTS``.
        group: Cases that the set publishes together, or None.
        voxels: By structure that was drawn.
        not_annotated: Structures that nobody drew.
        findings: Everything odd.
        files: Hash by path below the dataset's folder.
        inputs: Hash of the content of its files; empty in records of earlier versions.
        batch: Hash of the path of the source that it came from; empty likewise.
    """

    key: str
    kind: str
    group: str | None
    voxels: dict[str, int]
    not_annotated: list[str]
    findings: tuple[Finding, ...]
    files: dict[str, str]
    inputs: str = ""
    batch: str = ""

    def summary(self) -> str:
        """One line on the case."""
        text = f"{len(self.voxels)} structures"
        if self.not_annotated:
            text += f"; not drawn: {', '.join(self.not_annotated)}"
        return text

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form; ``CaseRecord.from_dict`` reads it back."""
        data: dict[str, Any] = {
            "key": self.key,
            "kind": self.kind,
            "group": self.group,
            "voxels": self.voxels,
            "undrawn": self.not_annotated,
            "findings": [finding.to_dict() for finding in self.findings],
            "files": self.files,
        }
        if self.inputs:
            data.update(inputs=self.inputs, batch=self.batch)
        return data

    @staticmethod
    def is_of(data: dict[str, Any], key: str) -> bool:
        """Whether parsed JSON is a record of a case that was made from the same."""
        kinds = {"kind": str, "group": str | None, "voxels": dict, "undrawn": list, "findings": list, "files": dict}
        return data.get("key") == key and all(isinstance(data.get(name), kind) for name, kind in kinds.items())

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CaseRecord:
        """Record of parsed JSON."""
        return cls(
            key=data["key"],
            kind=data["kind"],
            group=data["group"],
            voxels=data["voxels"],
            not_annotated=data["undrawn"],
            findings=tuple(Finding(**finding) for finding in data["findings"]),
            files=data["files"],
            inputs=data.get("inputs", ""),
            batch=data.get("batch", ""),
        )


@dataclass(frozen=True)
class Import:
    """What ``import_set`` wrote.

    Attributes:
        folder: The raw dataset.
        labels: Label by structure.
        cases: Record by case.
        findings: Everything odd.
        refused: Reason by case that was left out.
    """

    folder: Path
    labels: dict[str, int]
    cases: dict[str, CaseRecord]
    findings: list[Finding]
    refused: dict[str, str]

    def of_kind(self, kind: str) -> dict[str, CaseRecord]:
        """Records of a kind of case (a key of ``CASE_LISTS``) by case, sorted by name."""
        return {case: record for case, record in sorted(self.cases.items()) if record.kind == kind}

    def lines(self) -> list[str]:
        """The readable report."""
        told = []
        for kind in CASE_LISTS:
            count = len(self.of_kind(kind))
            if count:
                told.append(f"{count} {kind.replace('_', ' ')}")
        first = f"{self.folder.name}: {', '.join(told)} case(s), {len(self.labels)} structures"
        return [first, *format_findings(self.findings)]

    def require_all(self) -> None:
        """Check that no case was left out.

        Raises:
            InputError: Naming those that were; the others are written.
        """
        if self.refused:
            names = ", ".join(self.refused)
            raise InputError(f"{len(self.refused)} case(s) left out: {names}; {self.folder} has the others")

    def next_step(self) -> str:
        """What the user does with it."""
        if not self.of_kind(TRAINING):
            return f"no training case with a CT: {self.folder} serves as reference of soars-evaluate"
        listed = self.folder / CASE_LISTS[TRAINING]
        return f"next: soars-stratify -d {int(self.folder.name[7:10])} -p PROFILE --not-annotated {listed}"
