"""Import a public data set as a raw nnU-Net dataset: one generic importer, one table of facts a set.

``DatasetNNN_X`` gets imagesTr/labelsTr, imagesTs/labelsTs where the set publishes a test split, dataset.json,
``cases.json`` (structures that nobody drew, for ``soars-stratify --not-annotated``), ``import_report.txt`` and
``import_report.json``. It is built in a folder beside it, which an interruption leaves to be taken up again,
and takes its place when all cases are done.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from soars_nnunet.cascade.aliases import apply_aliases
from soars_nnunet.cascade.ct_hash import ct_hash
from soars_nnunet.cascade.storage import file_hash, json_hash, provenance, read_object, write_json
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.images.entry import name_fault, require_file, shown
from soars_nnunet.importing.case import ImportedCase, as_profile, read_case, write_case
from soars_nnunet.importing.case_files import CaseFiles, find_cases
from soars_nnunet.importing.checks import check_numbers, drawn_somewhere, unknown_structures
from soars_nnunet.importing.dataset_folder import RECORDS, finish, new_folder
from soars_nnunet.importing.earlier import EarlierImport, link
from soars_nnunet.importing.findings import Finding, format_findings
from soars_nnunet.importing.mask_names import name_masks
from soars_nnunet.importing.public_sets import PublicSet, Structure
from soars_nnunet.importing.records import LABELS_ONLY, TEST, TRAINING, CaseRecord, Import
from soars_nnunet.importing.structures import choose_structures, other_forms
from soars_nnunet.naming.halves import Halves, made_of
from soars_nnunet.profile import Profile, load_profile
from soars_nnunet.progress import Progress, silent


@dataclass(frozen=True)
class ImportOptions:
    """What of a set is written, and how.

    Attributes:
        profile: Write the structures that it knows; None for those that the set's table names.
        structures: Write exactly these, see ``choose_structures``.
        name: Of the dataset, after ``DatasetNNN_``; None for the table's.
        without_ct: Write label maps of cases without a CT, too.
        aliases: Organ by name of masks of the user's own, see ``apply_aliases``.
    """

    profile: str | None = None
    structures: Sequence[str] | None = None
    name: str | None = None
    without_ct: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Job:
    """What every case of one import has in common.

    Attributes:
        table: The set.
        source: Its folder.
        structures: To write, in label order.
        organs: Profile of these.
        halves: Left and right half by whole, of the organs that some draw in either form.
        without_ct: As the user wants it.
        folder: The new dataset.
        staging: Where it is built.
        earlier: What earlier imports left in the dataset.
    """

    table: PublicSet
    source: Path
    structures: list[Structure]
    organs: Profile
    halves: Halves
    without_ct: bool
    folder: Path
    staging: Path
    earlier: EarlierImport

    @property
    def batch(self) -> str:
        """Hash of the source's path."""
        return _batch(self.source)

    def split(self, case: CaseFiles) -> str:
        """``Ts`` for a case of a test group, else ``Tr``."""
        return "Ts" if case.group in self.table.test_groups else "Tr"

    def key(self, case: CaseFiles, hashes: Mapping[Path, str]) -> str:
        """Hash of all that a case is made from, its files' hashes included."""
        root = self.source.resolve()
        inputs: dict[str, object] = {os.path.relpath(path, root): digest for path, digest in hashes.items()}
        if not self.table.structures:  # which file is which organ depends on the user's aliases
            for organ, paths in case.masks.items():
                inputs[f"mask of {organ}"] = [os.path.relpath(path, root) for path in paths]
        structures = [asdict(structure) for structure in self.structures]
        organs = [asdict(organ) for organ in self.organs.organs]
        sparse = asdict(self.table.sparse) if self.table.sparse else {}
        return json_hash([inputs, [structures, organs, sparse], self.split(case), self.without_ct, provenance()])


@dataclass(frozen=True)
class _Made:
    """What a case is made from.

    Attributes:
        key: Hash of all of it.
        inputs: Hash of its files' content.
    """

    key: str
    inputs: str

    @classmethod
    def of(cls, job: _Job, case: CaseFiles) -> _Made:
        """Hash the files of a case."""
        hashes = {path: ct_hash(path) for path in case.paths()}
        return cls(job.key(case, hashes), json_hash(sorted(hashes.values())))


def import_set(
    table: PublicSet,
    source: Path,
    dataset_id: int,
    options: ImportOptions | None = None,
    *,
    progress: Progress = silent,
) -> Import:
    """Write a public set as a raw nnU-Net dataset, or add its cases to what earlier imports of the set wrote.

    Args:
        table: The set, with the user's choices.
        source: Its folder, as downloaded and unpacked.
        dataset_id: 1 to 999.
        options: What is written, and how.
        progress: Receives one line per case.

    Raises:
        InputError: If the folder is not the set's, the id is taken, cases that stay have other structures, or no case
            is usable.
    """
    options = options or ImportOptions()
    source = source.absolute()
    folder = new_folder(table, dataset_id, options.name)
    chosen = choose_structures(table, options.profile, options.structures)
    cases, foreign = find_cases(table, source)
    findings = [Finding("foreign", shown(path.relative_to(source.resolve()))) for path in foreign]
    findings += check_numbers(table, cases)
    basis = load_profile(options.profile or table.profile)
    findings += _name_masks(table, cases, basis, options.aliases)
    findings += unknown_structures(table, chosen, cases)
    structures, absent = drawn_somewhere(chosen, cases)
    earlier = EarlierImport.read(folder)
    if earlier.binds([case.name for case in cases], _batch(source)):
        structures = earlier.structures(chosen, structures)
    others = [form.name for form in other_forms(basis)]
    for structure in absent:
        if structure not in structures and structure.name not in others:
            findings.append(Finding("absent_everywhere", structure.name))
    if not structures:
        said = "; ".join(format_findings(findings))
        raise InputError(f"{source}: expected contours of {table.name}, found none; {said}")
    job = _Job(
        table=table,
        source=source,
        structures=structures,
        organs=_organs(table, structures, basis),
        halves=basis.halves,
        without_ct=options.without_ct,
        folder=folder,
        staging=folder.with_name(f".{folder.name}.partial"),
        earlier=earlier,
    )
    done = _import_cases(job, cases, findings, progress)
    finish(table, done, job.staging)
    return done


def _batch(source: Path) -> str:
    """Hash of a source's path, by which the cases of one import are known."""
    return json_hash(str(source.resolve()))


def _name_masks(
    table: PublicSet, cases: Sequence[CaseFiles], profile: Profile, aliases: Mapping[str, str]
) -> list[Finding]:
    """Call masks of the user's own by their organs; a public set's files have the names of its table.

    Raises:
        InputError: If an alias is of a public set, of no file, or of no organ.
    """
    if table.structures:
        if aliases:
            raise InputError(f"--alias: {table.name} has published names, which its table lists; leave it out")
        return []
    names: dict[str, None] = {}
    for case in cases:
        names.update(dict.fromkeys(case.masks))
    return name_masks(cases, apply_aliases(aliases, profile, names, "the folder"), aliases)


def _organs(table: PublicSet, structures: Sequence[Structure], basis: Profile) -> Profile:
    precedence = {structure.name: table.precedence(structure, basis) for structure in structures}
    return as_profile(structures, precedence)


def _import_cases(job: _Job, cases: Sequence[CaseFiles], findings: list[Finding], progress: Progress) -> Import:
    """Write all cases that can be used.

    Raises:
        InputError: If none can.
    """
    records: dict[str, CaseRecord] = {}
    refused: dict[str, str] = {}
    for index, case in enumerate(cases, 1):
        name = shown(case.name)
        told = f"[{index}/{len(cases)}] {name}"
        try:
            _require_usable(case)
            made = _Made.of(job, case)
            _require_no_other(job, case, made)
            kept = _taken_over(job, case, made)
            record = kept or _import_case(job, case, made)
        except (InputError, OSError) as error:
            refused[name] = str(error)
            findings.append(Finding("refused", str(error), name))
            progress(f"{told}: left out: {error}")
            continue
        records[case.name] = record
        findings += record.findings
        progress(f"{told}: {'finished already, verified' if kept else record.summary()}")
    if not records:
        shutil.rmtree(job.staging, ignore_errors=True)
        first, reason = next(iter(refused.items()))
        raise InputError(f"{job.source}: none of {len(refused)} case(s) can be used, for example {first}: {reason}")
    labels = {organ.name: organ.label for organ in job.organs.organs}
    for name in job.earlier.staying(records):
        records[name] = job.earlier.carry_over(name, labels, job.staging)
        findings.append(Finding("kept", "imported before", name))
    done = Import(job.folder, labels, records, findings, refused)
    done.findings.extend(_never_drawn(done))
    return done


def _require_no_other(job: _Job, case: CaseFiles, made: _Made) -> None:
    """Check that no other case of that name was imported before.

    Raises:
        InputError: If there is one.
    """
    if job.earlier.contradicts(case.name, made.inputs, job.batch):
        raise InputError(
            "a case of this name with other files was imported before from another folder, and stays; rename the case, "
            "or import under another id"
        )


def _not_drawn(done: ImportedCase, halves: Halves) -> list[str]:
    """Structures of a case that nobody drew, in neither form."""
    return [name for name in done.not_annotated if done.voxels.keys().isdisjoint(made_of(name, halves))]


def _require_usable(case: CaseFiles) -> None:
    """Check that a case's name can be written and that its files are ordinary ones; nothing is opened.

    Raises:
        InputError: If one is not.
    """
    if fault := name_fault(case.name):
        raise InputError(fault)
    for path in case.paths():
        require_file(path, "a file of the set")


def _never_drawn(done: Import) -> list[Finding]:
    """Structures without a voxel in any training case; none where there is no training case."""
    trained = done.of_kind(TRAINING).values()
    if not trained:
        return []
    found = []
    for name in done.labels:
        if not any(record.voxels.get(name) for record in trained):
            found.append(Finding("never_drawn", name))
    return found


def _import_case(job: _Job, case: CaseFiles, made: _Made) -> CaseRecord:
    """Write a case and its record into the staging folder.

    Raises:
        InputError: If the case cannot be used.
    """
    done = read_case(job.table, case, job.structures, job.organs, without_ct=job.without_ct)
    split = job.split(case)
    written = write_case(done, case, job.staging, split)
    if done.ct is None:
        kind = LABELS_ONLY
    else:
        kind = TEST if split == "Ts" else TRAINING
    record = CaseRecord(
        key=made.key,
        kind=kind,
        group=case.group,
        voxels=done.voxels,
        not_annotated=_not_drawn(done, job.halves),
        findings=tuple(done.findings),
        files={path: file_hash(job.staging / path) for path in written},
        inputs=made.inputs,
        batch=job.batch,
    )
    write_json(job.staging / RECORDS / f"{case.name}.json", record.to_dict())
    return record


def _taken_over(job: _Job, case: CaseFiles, made: _Made) -> CaseRecord | None:
    """Record of a case that is as it was, in the staging folder or in the dataset; None if it is to be written."""
    record = _finished(job.staging, case.name, made.key)
    if record:
        return record
    record = _finished(job.folder, case.name, made.key)
    if record:
        for path in record.files:
            link(job.folder / path, job.staging / path)
        record = replace(record, inputs=made.inputs, batch=job.batch)
        write_json(job.staging / RECORDS / f"{case.name}.json", record.to_dict())
    return record


def _finished(root: Path, case: str, key: str) -> CaseRecord | None:
    """Record of a case whose inputs and outputs are as they were, or None."""
    path = root / RECORDS / f"{case}.json"
    if not path.is_file():
        return None
    try:
        data = read_object(path)
    except MissingArtifactError:
        return None
    if not CaseRecord.is_of(data, key):
        return None
    for name, digest in data["files"].items():
        file = root / name
        if not file.is_file() or file_hash(file) != digest:
            return None
    return CaseRecord.from_dict(data)
