"""Import a public data set as a raw nnU-Net dataset: one generic importer, one table of facts a set.

``DatasetNNN_X`` gets imagesTr/labelsTr, imagesTs/labelsTs where the set publishes a test split, dataset.json,
``cases.json`` (structures that nobody drew, for ``soars-stratify --unannotated``), ``import_report.txt`` and
``import_report.json``. It is built in a folder beside it, which an interruption leaves to be taken up again,
and takes its place when all cases are done.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.storage import file_hash, json_hash, provenance, publish, read_json, replacing, write_json
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.importing.case import ENDING, as_profile, read_case, summary, write_case
from soars_nnunet.importing.findings import Finding, format_findings, format_numbers
from soars_nnunet.importing.public_sets import CaseFiles, PublicSet, Structure, choose_structures, find_cases
from soars_nnunet.profile import Profile, load_profile, normalise
from soars_nnunet.progress import Progress, silent

RECORDS = "import_cases"
REPORT = "import_report.json"
REPORT_TEXT = "import_report.txt"
CASE_LISTS = {"training": "cases.json", "test": "cases_test.json", "labels_only": "cases_labels_only.json"}
"""Per kind of case, the file of its structures that nobody drew; soars-stratify takes the first."""


@dataclass(frozen=True)
class Import:
    """What ``import_set`` wrote.

    Attributes:
        folder: The raw dataset.
        labels: Label by structure.
        cases: Record by case: split, group, voxels, undrawn, files, ...
        findings: Everything odd.
        refused: Reason by case that was left out.
    """

    folder: Path
    labels: dict[str, int]
    cases: dict[str, dict[str, Any]]
    findings: list[Finding]
    refused: dict[str, str]

    def lines(self) -> list[str]:
        """The readable report."""
        counts = {kind: sum(record["kind"] == kind for record in self.cases.values()) for kind in CASE_LISTS}
        told = ", ".join(f"{count} {kind.replace('_', ' ')}" for kind, count in counts.items() if count)
        return [f"{self.folder.name}: {told} case(s), {len(self.labels)} structures", *format_findings(self.findings)]

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
        if not any(record["kind"] == "training" for record in self.cases.values()):
            return f"no training case with a CT: {self.folder} serves as reference of soars-evaluate"
        listed = self.folder / CASE_LISTS["training"]
        return f"next: soars-stratify -d {int(self.folder.name[7:10])} -p PROFILE --unannotated {listed}"


def import_set(
    table: PublicSet,
    source: Path,
    dataset_id: int,
    profile: str | None = None,
    structures: Sequence[str] | None = None,
    name: str | None = None,
    without_ct: bool = False,
    progress: Progress = silent,
) -> Import:
    """Write a public set as a raw nnU-Net dataset.

    Args:
        table: The set, with the user's choices.
        source: Its folder, as downloaded and unpacked.
        dataset_id: 1 to 999.
        profile: Write the structures that it knows; None for those that the table names.
        structures: Write exactly these, see ``choose_structures``.
        name: Of the dataset, after ``DatasetNNN_``; None for the table's.
        without_ct: Write label maps of cases without a CT, too.
        progress: Receives one line per case.

    Raises:
        InputError: If the folder is not the set's, the id is taken, or no case is usable.
    """
    source = source.absolute()
    folder = _target(table, dataset_id, name)
    rows = choose_structures(table, profile, structures)
    cases, foreign = find_cases(table, source)
    findings = [Finding("foreign", str(path.relative_to(source.resolve()))) for path in foreign]
    findings += check_numbers(table, cases) + _unknown_structures(table, rows, cases)
    rows, absent = _drawn_somewhere(rows, cases)
    findings += [Finding("absent_everywhere", row.name) for row in absent]
    if not rows:
        raise InputError(
            f"{source}: expected contours of {table.name}, found none; {'; '.join(format_findings(findings))}"
        )
    basis = load_profile(profile or table.profile)
    organs = as_profile(rows, {row.name: table.precedence(row, basis) for row in rows})
    staging = folder.with_name(f".{folder.name}.partial")
    records, refused = {}, {}
    for index, case in enumerate(cases, 1):
        told = f"[{index}/{len(cases)}] {case.name}"
        try:
            record, kept = _import_case(table, case, rows, organs, without_ct, (staging, folder), source)
        except InputError as error:
            refused[case.name] = str(error)
            findings.append(Finding("refused", str(error), case.name))
            progress(f"{told}: left out: {error}")
            continue
        records[case.name] = record
        findings += [Finding(**finding) for finding in record["findings"]]
        progress(f"{told}: {'finished already, verified' if kept else summary(record)}")
    if not records:
        shutil.rmtree(staging, ignore_errors=True)
        first = next(iter(refused.items()))
        raise InputError(f"{source}: none of {len(refused)} case(s) can be used, for example {first[0]}: {first[1]}")
    trained = [record for record in records.values() if record["kind"] == "training"]
    never = [row.name for row in rows if trained and not any(record["voxels"].get(row.name) for record in trained)]
    findings += [Finding("never_drawn", name) for name in never]
    done = Import(folder, {organ.name: organ.label for organ in organs.organs}, records, findings, refused)
    _finish(table, done, staging)
    return done


def _target(table: PublicSet, dataset_id: int, name: str | None) -> Path:
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
    report = read_json(folder / REPORT) if (folder / REPORT).is_file() else {}
    if report.get("set") != table.name or report.get("choices") != dict(table.choices):
        raise InputError(
            f"{folder}: expected no dataset there, or an import of {table.name} with choices {dict(table.choices)}, "
            f"got {report.get('set', 'another dataset')} {report.get('choices', '')}; choose another id"
        )
    foreign = sorted(_files(folder) - set(report["files"]))
    if foreign:
        raise InputError(f"{folder}: holds files that no import wrote ({', '.join(foreign[:3])}); move them elsewhere")
    return folder


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def check_numbers(table: PublicSet, cases: Sequence[CaseFiles]) -> list[Finding]:
    """Gaps in the numbering of the published groups, differing counts, and cases of no group."""
    found = []
    for group in table.groups:
        members = [case for case in cases if case.group == group.name]
        numbers = {case.number for case in members if case.number is not None}
        if group.first is not None and group.last is not None and group.last - group.first + 1 == group.count:
            missing = set(range(group.first, group.last + 1)) - numbers
            if missing:
                text = f"{group.name}: {len(missing)} of {group.count} cases are not there: {format_numbers(missing)}"
                found.append(Finding("numbering", text))
        elif len(members) != group.count:
            text = f"{group.name}: {group.count} cases are published, {len(members)} are there"
            found.append(Finding("numbering", text))
    outside = [case.name for case in cases if table.groups and case.group is None]
    return found + [Finding("numbering", "outside the published groups", name) for name in outside]


def _unknown_structures(table: PublicSet, rows: Sequence[Structure], cases: Sequence[CaseFiles]) -> list[Finding]:
    known = {normalise(n) for row in (*table.structures, *rows) for n in (*row.published, *row.aliases)}
    return [
        Finding("unknown", spelling, case.name)
        for case in cases
        for spelling in sorted(case.masks)
        if normalise(spelling) not in known
    ]


def _drawn_somewhere(rows: Sequence[Structure], cases: Sequence[CaseFiles]) -> tuple[list[Structure], list[Structure]]:
    """Structures with a file in some case (any, where there are label maps), and the others."""
    spellings = {normalise(spelling) for case in cases for spelling in case.masks}
    mapped = any(case.labels for case in cases)

    def drawn(row: Structure) -> bool:
        names = {normalise(name) for name in (*row.published, *row.aliases)}
        return bool(names & spellings) if len(row.published) == 1 else names <= spellings

    return [r for r in rows if mapped or drawn(r)], [r for r in rows if not mapped and not drawn(r)]


def _import_case(
    table: PublicSet,
    case: CaseFiles,
    rows: Sequence[Structure],
    organs: Profile,
    without_ct: bool,
    roots: tuple[Path, Path],
    source: Path,
) -> tuple[dict[str, Any], bool]:
    """Record of a case, written into the first root or taken over from either; True if taken over.

    Raises:
        InputError: If the case cannot be used.
    """
    staging = roots[0]
    split = "Ts" if case.group in table.test_groups else "Tr"
    inputs = {os.path.relpath(path, source.resolve()): file_hash(path) for path in case.paths()}
    facts = [asdict(row) for row in rows], [asdict(organ) for organ in organs.organs], dict(table.sparse or {})
    key = json_hash([inputs, facts, split, without_ct, provenance()])
    for root in roots:
        if record := _finished(root, case.name, key):
            if root != staging:
                for path in record["files"]:
                    _link(root / path, staging / path)
                write_json(staging / RECORDS / f"{case.name}.json", record)
            return record, True
    done = read_case(table, case, rows, organs, without_ct)
    written = write_case(done, case, staging, split)
    kind = "labels_only" if done.ct is None else "test" if split == "Ts" else "training"
    record = {
        "key": key,
        "kind": kind,
        "group": case.group,
        "voxels": done.voxels,
        "undrawn": done.undrawn,
        "findings": [finding.to_dict() for finding in done.findings],
        "files": {path: file_hash(staging / path) for path in written},
    }
    write_json(staging / RECORDS / f"{case.name}.json", record)
    return record, False


def _finished(root: Path, case: str, key: str) -> dict[str, Any] | None:
    """Record of a case whose inputs and outputs are as they were, or None."""
    path = root / RECORDS / f"{case}.json"
    try:
        record = read_json(path) if path.is_file() else {}
    except MissingArtifactError:
        return None
    whole = record.get("key") == key and all(
        (root / name).is_file() and file_hash(root / name) == digest for name, digest in record["files"].items()
    )
    return record if whole else None


def _link(source: Path, target: Path) -> None:
    with replacing(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def _finish(table: PublicSet, done: Import, staging: Path) -> None:
    """Write the dataset's own files, remove what an interrupted run left over, and put it in its place."""
    training = sorted(case for case, record in done.cases.items() if record["kind"] == "training")
    dataset_json = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **done.labels},
        "numTraining": len(training),
        "file_ending": ENDING,
        "name": done.folder.name,
        "description": table.description,
        "reference": table.source,
    }
    write_json(staging / "dataset.json", dataset_json)
    files = {"dataset.json", REPORT, REPORT_TEXT, *(f"{RECORDS}/{case}.json" for case in done.cases)}
    files |= {path for record in done.cases.values() for path in record["files"]}
    for kind, name in CASE_LISTS.items():
        entries = {
            case: {"group": record["group"], "unannotated": record["undrawn"]}
            for case, record in sorted(done.cases.items())
            if record["kind"] == kind
        }
        if entries:
            write_json(staging / name, entries)
            files.add(name)
    report = {
        "set": table.name,
        "choices": dict(table.choices),
        "labels": done.labels,
        "cases": {case: {k: v for k, v in r.items() if k != "findings"} for case, r in sorted(done.cases.items())},
        "refused": done.refused,
        "findings": [finding.to_dict() for finding in done.findings],
        "notes": list(table.notes),
        "files": sorted(files),
        "provenance": provenance(),
    }
    write_json(staging / REPORT, report)
    with replacing(staging / REPORT_TEXT) as temporary:
        temporary.write_text("\n".join([*done.lines(), *table.notes]) + "\n", encoding="utf-8")
    for name in _files(staging) - files:
        (staging / name).unlink()
    publish(staging, done.folder)
