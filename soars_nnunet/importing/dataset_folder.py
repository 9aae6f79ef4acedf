"""The folder of an imported dataset: where it comes to lie, and the files beside its cases."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.storage import provenance, publish, read_object, replacing, write_json
from soars_nnunet.errors import InputError
from soars_nnunet.importing.case import ENDING
from soars_nnunet.importing.public_sets import PublicSet
from soars_nnunet.importing.records import CASE_LISTS, TRAINING, Import

RECORDS = "import_cases"
REPORT = "import_report.json"
REPORT_TEXT = "import_report.txt"


def new_folder(table: PublicSet, dataset_id: int, name: str | None) -> Path:
    """Folder of the new dataset.

    Raises:
        InputError: If the id is out of range or taken, or the folder holds anything but an import of the set.
    """
    if not 0 < dataset_id < 1000:
        raise InputError(f"-d: expected a dataset id between 1 and 999, got {dataset_id}")
    if name is not None and (not name or set(name) & set('/\\:*?"<>| ')):
        raise InputError(f"--name: expected a name without spaces and slashes, got '{name}'")
    folder = raw_folder() / f"Dataset{dataset_id:03d}_{name or table.dataset}"
    taken = sorted(path.name for path in raw_folder().glob(f"Dataset{dataset_id:03d}_*") if path.name != folder.name)
    if taken:
        raise InputError(f"-d: dataset id {dataset_id} is taken by {taken[0]}; choose another")
    if not folder.exists():
        return folder
    report = read_object(folder / REPORT) if (folder / REPORT).is_file() else {}
    if report.get("set") != table.name or report.get("choices") != dict(table.choices):
        wanted = _described(table.name, table.choices)
        found = _described(report["set"], report.get("choices") or {}) if "set" in report else "another dataset"
        raise InputError(f"{folder}: expected no dataset there, or {wanted}, got {found}; choose another id")
    foreign = sorted(_files(folder) - set(report.get("files") or ()))
    if foreign:
        raise InputError(f"{folder}: holds files that no import wrote ({', '.join(foreign[:3])}); move them elsewhere")
    return folder


def _described(name: str, choices: Mapping[str, str]) -> str:
    """An import in words."""
    chosen = ", ".join(f"{key}={value}" for key, value in choices.items())
    return f"an import of {name}" + (f" with {chosen}" if chosen else "")


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def finish(table: PublicSet, done: Import, staging: Path) -> None:
    """Write the dataset's own files, remove what an interrupted run left over, and put it in its place."""
    write_json(staging / "dataset.json", _dataset_json(table, done))
    files = {"dataset.json", REPORT, REPORT_TEXT}
    for case, record in done.cases.items():
        files.add(f"{RECORDS}/{case}.json")
        files.update(record.files)
    for kind, name in CASE_LISTS.items():
        entries = {}
        for case, record in done.of_kind(kind).items():
            entries[case] = {"group": record.group, "unannotated": record.not_annotated}
        if entries:
            write_json(staging / name, entries)
            files.add(name)
    write_json(staging / REPORT, _report(table, done, sorted(files)))
    with replacing(staging / REPORT_TEXT) as temporary:
        temporary.write_text("\n".join([*done.lines(), *table.notes]) + "\n", encoding="utf-8")
    for name in _files(staging) - files:
        (staging / name).unlink()
    publish(staging, done.folder)


def _dataset_json(table: PublicSet, done: Import) -> dict[str, Any]:
    return {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **done.labels},
        "numTraining": len(done.of_kind(TRAINING)),
        "file_ending": ENDING,
        "name": done.folder.name,
        "description": table.description,
        "reference": table.source,
    }


def _report(table: PublicSet, done: Import, files: list[str]) -> dict[str, Any]:
    cases = {}
    for case, record in sorted(done.cases.items()):
        cases[case] = record.to_dict()
        del cases[case]["findings"]  # listed together below
    return {
        "set": table.name,
        "choices": dict(table.choices),
        "labels": done.labels,
        "cases": cases,
        "refused": done.refused,
        "findings": [finding.to_dict() for finding in done.findings],
        "notes": list(table.notes),
        "files": files,
        "provenance": provenance(),
    }
