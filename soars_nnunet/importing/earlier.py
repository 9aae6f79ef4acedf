"""What earlier imports left in a dataset: it stays there when more cases are imported."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.storage import read_json, replacing, write_json
from soars_nnunet.errors import InputError
from soars_nnunet.importing.dataset_folder import RECORDS, REPORT
from soars_nnunet.importing.public_sets import Structure
from soars_nnunet.importing.records import CaseRecord


@dataclass(frozen=True)
class EarlierImport:
    """A dataset that imports wrote before.

    Attributes:
        folder: Its folder.
        labels: Label by structure, 1 and up in this order; empty without a dataset.
        cases: Record by case.
    """

    folder: Path
    labels: dict[str, int] = field(default_factory=dict)
    cases: dict[str, CaseRecord] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> EarlierImport:
        """What lies in a folder; nothing where there is none.

        Raises:
            InputError: If a record of a case is of another form.
            MissingArtifactError: If one is missing.
        """
        if not (folder / REPORT).is_file():
            return cls(folder)
        report = read_json(folder / REPORT)
        cases = {}
        for case in report["cases"]:
            path = folder / RECORDS / f"{case}.json"
            cases[case] = _record(read_json(path), path)
        return cls(folder, report["labels"], cases)

    def staying(self, imported: Collection[str]) -> dict[str, CaseRecord]:
        """Records of the cases that an import does not have."""
        return {case: record for case, record in self.cases.items() if case not in imported}

    def binds(self, imported: Collection[str], batch: str) -> bool:
        """Whether labels must keep their meaning: some cases stay, or may, as they came from another source.

        Args:
            imported: Names of an import's cases.
            batch: Hash of its source's path.
        """
        others = [record for record in self.cases.values() if record.batch not in ("", batch)]
        return bool(others or self.staying(imported))

    def structures(self, chosen: Sequence[Structure], drawn: Sequence[Structure]) -> list[Structure]:
        """Structures to write so that labels of cases that stay keep their meaning: the former ones first.

        Args:
            chosen: What the user wants.
            drawn: Those of them that the source has.

        Raises:
            InputError: If a former one is not wanted any more.
        """
        by_name = {structure.name: structure for structure in chosen}
        missing = [name for name in self.labels if name not in by_name]
        if missing:
            raise InputError(
                f"{self.folder}: expected the structures of the cases that are there ({', '.join(self.labels)}), got "
                f"none of {', '.join(missing)}; choose them too, or import under another id"
            )
        further = [structure for structure in drawn if structure.name not in self.labels]
        return [by_name[name] for name in self.labels] + further

    def contradicts(self, case: str, inputs: str, batch: str) -> bool:
        """Whether a case of that name lies there which another source had, with other files.

        Args:
            case: Its name.
            inputs: Hash of its files' content.
            batch: Hash of the source's path.
        """
        record = self.cases.get(case)
        if record is None or not record.inputs:  # an earlier version's
            return False
        return record.inputs != inputs and record.batch != batch

    def carry_over(self, case: str, labels: Mapping[str, int], staging: Path) -> CaseRecord:
        """Take a case over as it is; structures that are new are not annotated in it.

        Args:
            case: Its name.
            labels: Label by structure in the new dataset, in label order.
            staging: Where the dataset is built.

        Raises:
            InputError: If a file of it is missing, or its labels would mean something else.
        """
        record = self.cases[case]
        if any(labels.get(name) != value for name, value in self.labels.items()):
            raise InputError(
                f"{self.folder}: expected the structures of earlier imports, as case {case} stays, got others; choose "
                f"{', '.join(self.labels)}, mend the case, or import under another id"
            )
        for path in record.files:
            if not (self.folder / path).is_file():
                raise InputError(
                    f"{self.folder / path}: expected the file of an earlier import, found none; restore it"
                )
            link(self.folder / path, staging / path)
        new = [name for name in labels if name not in self.labels]
        record = replace(record, not_annotated=[*record.not_annotated, *new])
        write_json(staging / RECORDS / f"{case}.json", record.to_dict())
        return record


def link(source: Path, target: Path) -> None:
    """Have a file under another name too; a copy where the file system cannot."""
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def _record(data: Any, path: Path) -> CaseRecord:
    try:
        return CaseRecord.from_dict(data)
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected the record of an imported case, got other JSON; import under another id"
        ) from error
