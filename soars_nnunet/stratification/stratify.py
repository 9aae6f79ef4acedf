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
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.not_annotated import classes_not_annotated, read_not_annotated
from soars_nnunet.cascade.raw_cases import CaseFiles, find_dataset, training_cases
from soars_nnunet.cascade.record import DERIVED_LABELS, DERIVED_RECORD, NOT_ANNOTATED, Cascade
from soars_nnunet.cascade.storage import json_hash, new_staging, publish, read_user_json, write_json
from soars_nnunet.errors import InputError
from soars_nnunet.images.sides import require_known_sides
from soars_nnunet.paper import stated
from soars_nnunet.profile import Profile
from soars_nnunet.progress import Progress, silent
from soars_nnunet.stratification.branch_files import is_same_branch, write_branch_json, write_branch_labels
from soars_nnunet.stratification.dataset_names import branch_dataset_names, others_with_ids_of
from soars_nnunet.stratification.findings import Stratification
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
        aliases: Organ by name in the dataset, as the user says; see ``apply_aliases``.
        baseline: Also write a dataset of all organs, for ``SOARSBaselineTrainer`` or any nnU-Net trainer.
        overwrite: Where this contradicts a stratification on which models are trained, move these aside.
    """

    num_folds: int = NUM_FOLDS
    patient_pattern: str | None = None
    not_annotated: Path | None = None
    empty_means_absent: bool = False
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
        The record, and what was noticed.

    Raises:
        InputError: If no organ of the profile is in the dataset, a label map lies on another grid
            than its CT, left and right organs lie on the wrong sides, or no dataset ids are free; or if models are
            trained on a stratification that this one contradicts, and are not to be moved aside.
    """
    source = find_dataset(dataset)
    dataset_json = _read_dataset_json(source)
    labels = dataset_json["labels"]
    profile = apply_aliases(options.aliases, profile, labels, source)
    match = match_labels(labels, profile, options.aliases)
    require_known_sides(profile, match.labels)
    branches = _branches_of(source, profile, match.labels, dataset_json, baseline=options.baseline)
    names = _present_names(source, branches) or branch_dataset_names(source, branches, progress)
    cases = dict(sorted(training_cases(source, dataset_json).items()))
    splits = split_patients(list(cases), options.num_folds, options.patient_pattern)
    cascade = Cascade(
        source=source,
        profile=profile,
        datasets=names,
        labels=match.labels,
        num_folds=options.num_folds,
        split_sha256=json_hash(splits),
        cases=tuple(cases),
        patient_pattern=options.patient_pattern,
        derived=match.derived,
    )
    before = _former(source)
    found = changes(before, cascade) if before else []
    if before:
        require_nothing_trained(before, found, overwrite=options.overwrite)
    listed = read_not_annotated(options.not_annotated, profile, cases) if options.not_annotated else {}
    result = Stratification(cascade, match.unknown, match.absent, rows=label_rows(labels, match, profile))
    with ExitStack() as stack:
        staging = _stage_branches(
            stack, result, cases, dataset_json["file_ending"], listed=listed, options=options, say=progress
        )
        result.cascade = replace(cascade, empty=result.empty, not_annotated=result.not_annotated)
        if before:
            _make_way(before, result.cascade, found, options=options, progress=progress)
        _publish_branches(result.cascade, staging, splits)
    result.cascade.save()
    return result


def _make_way(
    before: Cascade, after: Cascade, found: Sequence[str], *, options: StratifyOptions, progress: Progress
) -> None:
    """Move aside what the new stratification makes stale.

    Raises:
        InputError: If models are trained on it, and are not to be moved.
    """
    all_found = [*found, *changes_of_contours(before, after)]
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
    labels = _read_dataset_json(source)["labels"]
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


def _read_dataset_json(source: str) -> dict[str, Any]:
    path = raw_folder() / source / "dataset.json"
    data = read_user_json(path)
    check_dataset_json(data, str(path))
    if len(data["channel_names"]) != 1:
        raise InputError(
            f"{source}: expected one channel (CT), got {data['channel_names']}; stratify a CT-only dataset"
        )
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


def _stage_branches(
    stack: ExitStack,
    result: Stratification,
    cases: Mapping[str, CaseFiles],
    ending: str,
    *,
    listed: Mapping[str, Sequence[str]],
    options: StratifyOptions,
    say: Progress,
) -> dict[str, Path]:
    """Check all cases and write the datasets of all branches but SmallHard beside their places, by branch key."""
    cascade = result.cascade
    staging = {}
    for branch in cascade.networks:
        if branch.key != "small_hard":
            staging[branch.key] = stack.enter_context(new_staging(cascade.raw(branch.key)))
    folders = dict(staging)
    if cascade.derived:
        folders[DERIVED_LABELS] = stack.enter_context(new_staging(cascade.derived_labels))
    for index, (case, files) in enumerate(cases.items(), 1):
        own = [name for name in listed.get(case, ()) if name in cascade.labels]
        empty_means_absent = options.empty_means_absent
        written = write_branch_labels(
            cascade, case, files, folders, not_annotated=own, ending=ending, empty_means_absent=empty_means_absent
        )
        result.derived[case] = written.derived
        result.note(case, written.empty, [*own, *written.derived.not_made], empty_means_absent)
        remark = f" (empty: {', '.join(written.empty)})" if written.empty else ""
        say(f"[{index}/{len(cases)}] {case}{remark}")
    result.require_contours(cases)
    for key, folder in staging.items():
        write_branch_json(cascade, key, folder, cases, ending=ending)
    if cascade.derived:
        write_json(folders[DERIVED_LABELS] / DERIVED_RECORD, result.derived_to_dict())
    return folders


def _publish_branches(cascade: Cascade, staging: Mapping[str, Path], splits: list[dict[str, list[str]]]) -> None:
    """Put the datasets in their places but where they lie there already; soars-channels may have completed those."""
    if DERIVED_LABELS in staging:
        publish(staging[DERIVED_LABELS], cascade.derived_labels)
    else:
        shutil.rmtree(cascade.derived_labels, ignore_errors=True)
    for key, folder in staging.items():
        if key == DERIVED_LABELS:
            continue
        if not is_same_branch(folder, cascade.raw(key)):
            publish(folder, cascade.raw(key))
        preprocessed = cascade.preprocessed(key)
        write_json(preprocessed / "splits_final.json", splits)
        lacking = classes_not_annotated(cascade.not_annotated, branch_labels(cascade, key))
        write_json(preprocessed / NOT_ANNOTATED, lacking)
