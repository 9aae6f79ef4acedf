"""Stratify a raw nnU-Net dataset into one raw dataset per branch (paper sec. 3.1).

CTs are referenced through ``dataset.json``'s ``dataset`` key, never copied; label maps are
rewritten with each tier's own consecutive labels. MidLevel and Detection start as CT-only
skeletons that ``soars-channels`` completes; SmallHard's crops are made there altogether.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from soars_nnunet.branches import BRANCHES, Branch
from soars_nnunet.cascade.aliases import apply_aliases
from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.dataset_json import check_dataset_json
from soars_nnunet.cascade.dataset_listing import CaseFiles
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.not_annotated import classes_not_annotated, read_not_annotated
from soars_nnunet.cascade.raw_cases import find_dataset
from soars_nnunet.cascade.record import DERIVED_LABELS, DERIVED_RECORD, NOT_ANNOTATED, Cascade
from soars_nnunet.cascade.source_files import CaseStamps, write_source_files
from soars_nnunet.cascade.storage import json_hash, new_staging, publish, read_user_json, write_json
from soars_nnunet.errors import InputError
from soars_nnunet.images.sides import require_known_sides
from soars_nnunet.paper import stated
from soars_nnunet.profile import Profile
from soars_nnunet.progress import Progress, silent
from soars_nnunet.stratification.branch_files import is_same_branch, write_branch_json, write_branch_labels
from soars_nnunet.stratification.dataset_checks import agreed_cases, require_ct_channel, require_known_ending
from soars_nnunet.stratification.dataset_names import branch_dataset_names, others_with_ids_of
from soars_nnunet.stratification.findings import Stratification, describe_refused
from soars_nnunet.stratification.label_match import match_labels
from soars_nnunet.stratification.label_table import LabelRow, label_rows
from soars_nnunet.stratification.splits import split_patients
from soars_nnunet.stratification.stale import (
    changes,
    changes_of_contours,
    require_nothing_trained,
    set_aside,
    trained_models,
)

NUM_FOLDS: int = stated("folds")
"""Folds of the cross-validation, unless told otherwise."""


@dataclass(frozen=True)
class StratifyOptions:
    """Choices of the user.

    Attributes:
        num_folds: Folds of the cross-validation; the paper uses 4 (sec. 4.1).
        patient_pattern: Regular expression whose first group is the patient in a case name; None if
            every case is a patient of its own.
        not_annotated: JSON file of organs that are not annotated by case, see ``read_not_annotated``.
        empty_means_absent: An organ without a voxel is truly absent; otherwise it counts as not annotated.
        leave_out: Go on without what is incomplete or cannot be used.
        aliases: Organ by name in the dataset, as the user says; see ``apply_aliases``.
        baseline: Also write a dataset of all organs, for ``SOARSBaselineTrainer`` or any nnU-Net trainer.
        overwrite: Where this contradicts a stratification on which models are trained, move these aside.
    """

    num_folds: int = NUM_FOLDS
    patient_pattern: str | None = None
    not_annotated: Path | None = None
    empty_means_absent: bool = False
    leave_out: bool = False
    baseline: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    overwrite: bool = False


DEFAULT_OPTIONS = StratifyOptions()


def stratify(
    dataset: int | str,
    profile: Profile,
    options: StratifyOptions = DEFAULT_OPTIONS,
    progress: Progress = silent,
) -> Stratification:
    """Write the branch datasets, the patient-level split and the cascade record of a raw dataset.

    Args:
        dataset: Id or name of a raw nnU-Net dataset with one CT channel.
        profile: Organs and tiers.
        options: Choices of the user.
        progress: Receives one line per case.

    Returns:
        The record, and what was noticed. Cases that cannot be used do not stop the others; ``require_all`` of the
        result refuses them.

    Raises:
        InputError: If no organ of the profile is in the dataset, dataset.json, imagesTr and labelsTr do not agree,
            no dataset ids are free, or too few cases can be used; or if models are trained on a stratification that
            this one contradicts, and are not to be moved aside.
    """
    source = find_dataset(dataset)
    dataset_json = _read_dataset_json(source, progress)
    labels = dataset_json["labels"]
    profile = apply_aliases(options.aliases, profile, labels, source)
    match = match_labels(labels, profile, options.aliases)
    require_known_sides(profile, match.labels)
    branches = _branches_of(source, profile, match.labels, dataset_json, baseline=options.baseline)
    names = _present_names(source, branches) or branch_dataset_names(source, branches, progress)
    agreed = agreed_cases(source, dataset_json, leave_out=options.leave_out, say=progress)
    cascade = Cascade(
        source=source,
        profile=profile,
        datasets=names,
        labels=match.labels,
        derived=match.derived,
        ignore=match.ignore,
        left_out=agreed.left_out,
    )
    cascade = _of_cases(cascade, list(agreed.cases), options)
    before = _former(source)
    if before:
        require_nothing_trained(before, changes(before, cascade), overwrite=options.overwrite)
    listed = read_not_annotated(options.not_annotated, profile, agreed.names) if options.not_annotated else {}
    result = Stratification(cascade, match.unknown, match.absent, rows=label_rows(labels, match, profile))
    job = _Job(agreed.cases, match.listed, dataset_json["file_ending"], listed, options, progress)
    _write_branches(result, job, before)
    return result


def _of_cases(cascade: Cascade, cases: Sequence[str], options: StratifyOptions) -> Cascade:
    """The record with the cases and their split.

    Raises:
        InputError: If there are fewer patients than folds, or the pattern misses a case.
    """
    splits = split_patients(cases, options.num_folds, options.patient_pattern)
    return replace(
        cascade,
        num_folds=options.num_folds,
        split_sha256=json_hash(splits),
        cases=tuple(cases),
        patient_pattern=options.patient_pattern,
    )


def _make_way(before: Cascade, after: Cascade, options: StratifyOptions, progress: Progress) -> None:
    """Move aside what the new stratification makes stale.

    Raises:
        InputError: If models are trained on it, and are not to be moved.
    """
    all_found = [*changes(before, after), *changes_of_contours(before, after)]
    require_nothing_trained(before, all_found, overwrite=options.overwrite)
    if all_found and trained_models(before):
        progress(f"{before.source}: {'; '.join(all_found)}")
        set_aside(before, progress)


def _former(source: str) -> Cascade | None:
    """The record of the former stratification; None if there is none, or a damaged one, which is written anew."""
    try:
        return Cascade.load(source)
    except ValueError:
        return None


def read_labels(dataset: int | str, profile: Profile, aliases: Mapping[str, str]) -> list[LabelRow]:
    """What would become of every label of a dataset; writes nothing.

    Raises:
        InputError: If the labels or aliases contradict each other.
    """
    source = find_dataset(dataset)
    labels = _read_dataset_json(source, silent)["labels"]
    profile = apply_aliases(aliases, profile, labels, source)
    return label_rows(labels, match_labels(labels, profile, aliases), profile)


def _present_names(source: str, branches: Sequence[Branch]) -> dict[str, str] | None:
    """Names of the datasets that the source was stratified into before.

    None if some branch has none, if other datasets have their ids by now, or if the record cannot be read.
    """
    former = _former(source)
    if former is None:
        return None
    present = former.datasets
    names = {branch.key: present[branch.key] for branch in branches if branch.key in present}
    if len(names) < len(branches) or others_with_ids_of(names):
        return None
    return names


def _read_dataset_json(source: str, say: Progress) -> dict[str, Any]:
    path = raw_folder() / source / "dataset.json"
    data = read_user_json(path)
    check_dataset_json(data, str(path))
    require_ct_channel(source, data["channel_names"], say)
    require_known_ending(source, data["file_ending"])
    return data


def _branches_of(
    source: str, profile: Profile, labels: Mapping[str, int], dataset_json: dict[str, Any], *, baseline: bool
) -> list[Branch]:
    """Branches whose tier has organs in the dataset, and the baseline if it is wanted."""
    tiers = {organ.tier for organ in profile.organs if organ.name in labels}
    if "anchor" not in tiers:
        anchors = ", ".join(organ.name for organ in profile.tier("anchor"))
        raise InputError(
            f"{source}: expected anchor organs of profile '{profile.name}' "
            f"({anchors}), got labels {', '.join(dataset_json['labels'])}; "
            "choose another profile, or say with --alias NAME=ORGAN which label is which organ"
        )
    if baseline:
        tiers.add("all")
    return [branch for branch in BRANCHES.values() if branch.tier in tiers]


@dataclass(frozen=True)
class _Job:
    """What of a dataset is stratified, and how.

    Attributes:
        cases: Files of its cases.
        named: Labels that dataset.json lists.
        ending: Of its files.
        listed: Organs that a file lists as not annotated, by case.
        options: Choices of the user.
        say: Receives one line per case.
    """

    cases: Mapping[str, CaseFiles]
    named: frozenset[int]
    ending: str
    listed: Mapping[str, Sequence[str]]
    options: StratifyOptions
    say: Progress


def _write_branches(result: Stratification, job: _Job, before: Cascade | None) -> None:
    """Write the datasets of all branches but SmallHard, which take their places together once all cases are checked."""
    cascade = result.cascade
    with ExitStack() as stack:
        staging = {}
        for branch in cascade.networks:
            if branch.key != "small_hard":
                staging[branch.key] = stack.enter_context(new_staging(cascade.raw(branch.key)))
        folders = dict(staging)
        if cascade.derived:
            folders[DERIVED_LABELS] = stack.enter_context(new_staging(cascade.derived_labels))
        stamps = _write_labels(result, job, folders)
        used = {case: job.cases[case] for case in stamps}
        _require_enough(result, list(used), job.options, before)
        result.cascade = _completed(result, list(used), job.options)
        for key, folder in staging.items():
            write_branch_json(result.cascade, key, folder, used, ending=job.ending)
        if cascade.derived:
            write_json(folders[DERIVED_LABELS] / DERIVED_RECORD, result.derived_to_dict())
        if before:
            _make_way(before, result.cascade, job.options, job.say)
        _publish_branches(
            result, folders, split_patients(list(used), job.options.num_folds, job.options.patient_pattern)
        )
    write_source_files(cascade.source, stamps)
    result.cascade.save()


def _write_labels(result: Stratification, job: _Job, folders: Mapping[str, Path]) -> dict[str, CaseStamps]:
    """Write the label maps of every case that can be used; returns stamps of its files."""
    cascade = result.cascade
    stamps = {}
    for index, (case, files) in enumerate(job.cases.items(), 1):
        told = f"[{index}/{len(job.cases)}] {case}"
        own = [name for name in job.listed.get(case, ()) if name in cascade.labels]
        try:
            organs = write_branch_labels(
                cascade,
                case,
                files,
                folders,
                not_annotated=own,
                named=job.named,
                ending=job.ending,
                empty_means_absent=job.options.empty_means_absent,
            )
            written = {}
            for key in cascade.datasets:
                if key in folders:
                    written[key] = folders[key] / "labelsTr" / f"{case}{job.ending}"
            stamps[case] = CaseStamps.of(files, written)
        except InputError as error:
            result.refused[case] = str(error)
            job.say(f"{told}: left out: {error}")
            continue
        result.derived[case] = organs.derived
        result.note(case, organs, [*own, *organs.derived.not_made], job.options.empty_means_absent)
        remark = f" (empty: {', '.join(organs.empty)})" if organs.empty else ""
        job.say(f"{told}{remark}")
    return stamps


def _require_enough(
    result: Stratification, used: Sequence[str], options: StratifyOptions, before: Cascade | None
) -> None:
    """Check that the cases that can be used make a dataset, and none is lost that was stratified before.

    Raises:
        InputError: If not; nothing is written then.
    """
    refused = result.refused
    source = result.cascade.source
    if refused and not options.leave_out:
        lost = set(before.cases) & set(refused) if before else set()
        if not used or lost:
            raise InputError(f"{describe_refused(source, refused)}; nothing is written")
    try:
        split_patients(list(used), options.num_folds, options.patient_pattern)
        result.require_contours(used)
    except InputError as error:
        if not refused:
            raise
        raise InputError(f"{describe_refused(source, refused)}; the others are too few: {error}") from error


def _completed(result: Stratification, used: Sequence[str], options: StratifyOptions) -> Cascade:
    """The record with all that was seen of the cases that are used."""
    cascade = _of_cases(result.cascade, used, options)
    left_out = dict(cascade.left_out)
    if options.leave_out:
        left_out.update(result.refused)
    return replace(
        cascade,
        empty=result.empty,
        not_annotated=result.not_annotated,
        ignore=cascade.ignore if result.ignoring else None,
        partly_annotated=result.partly,
        left_out=left_out,
    )


def _publish_branches(result: Stratification, folders: Mapping[str, Path], splits: list[dict[str, list[str]]]) -> None:
    """Put the datasets in their places but where they lie there already; soars-channels may have completed those."""
    cascade = result.cascade
    if DERIVED_LABELS in folders:
        publish(folders[DERIVED_LABELS], cascade.derived_labels)
    else:
        shutil.rmtree(cascade.derived_labels, ignore_errors=True)
    for key, folder in folders.items():
        if key == DERIVED_LABELS:
            continue
        if not is_same_branch(folder, cascade.raw(key)):
            publish(folder, cascade.raw(key))
        preprocessed = cascade.preprocessed(key)
        write_json(preprocessed / "splits_final.json", splits)
        lacking = classes_not_annotated(_open_organs(result, key), branch_labels(cascade, key))
        write_json(preprocessed / NOT_ANNOTATED, lacking)


def _open_organs(result: Stratification, branch: str) -> dict[str, list[str]]:
    """By case, organs that a branch's training leaves open as a whole.

    Those that touch ignored voxels count only for detection, which needs their centre; others leave these voxels open.
    """
    if branch != "detection":
        return result.not_annotated
    organs = {case: list(names) for case, names in result.not_annotated.items()}
    for case, names in result.partly.items():
        organs[case] = organs.get(case, []) + [name for name in names if name not in organs.get(case, ())]
    return organs
