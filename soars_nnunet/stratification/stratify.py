"""Stratify a raw nnU-Net dataset into one raw dataset per branch (paper sec. 3.1).

CTs are referenced through ``dataset.json``'s ``dataset`` key, never copied; label maps are
rewritten with each tier's own consecutive labels. MidLevel and Detection start as CT-only
skeletons that ``soars-channels`` completes; SmallHard's crops are made there altogether.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from soars_nnunet.branches import BRANCHES, Branch
from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.not_annotated import classes_not_annotated, read_not_annotated
from soars_nnunet.cascade.raw_cases import CaseFiles, find_dataset, training_cases
from soars_nnunet.cascade.record import NOT_ANNOTATED, Cascade
from soars_nnunet.cascade.storage import json_hash, new_staging, publish, read_user_json, write_json
from soars_nnunet.errors import InputError
from soars_nnunet.paper import stated
from soars_nnunet.profile import Profile
from soars_nnunet.progress import Progress, silent
from soars_nnunet.stratification.branch_files import write_branch_json, write_branch_labels
from soars_nnunet.stratification.dataset_names import branch_dataset_names, others_with_ids_of
from soars_nnunet.stratification.findings import Stratification
from soars_nnunet.stratification.label_match import match_labels
from soars_nnunet.stratification.splits import split_patients

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
        baseline: Also write a dataset of all organs, for ``SOARSBaselineTrainer`` or any nnU-Net trainer.
    """

    num_folds: int = NUM_FOLDS
    patient_pattern: str | None = None
    not_annotated: Path | None = None
    empty_means_absent: bool = False
    baseline: bool = False


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
            than its CT, left and right organs lie on the wrong sides, or no dataset ids are free.
    """
    source = find_dataset(dataset)
    dataset_json = _read_dataset_json(source)
    match = match_labels(dataset_json["labels"], profile)
    branches = _branches_of(source, profile, match.labels, dataset_json, baseline=options.baseline)
    names = _present_names(source, branches) or branch_dataset_names(source, branches, progress)
    cascade = Cascade(source, profile, names, match.labels)
    cases = dict(sorted(training_cases(source, dataset_json).items()))
    splits = split_patients(list(cases), options.num_folds, options.patient_pattern)
    listed = {}
    if options.not_annotated:
        listed = read_not_annotated(options.not_annotated, profile, cases)
    result = Stratification(cascade, match.unknown, match.absent)
    _write_branches(result, cases, splits, dataset_json["file_ending"], listed=listed, options=options, say=progress)
    result.cascade = replace(
        cascade,
        num_folds=options.num_folds,
        split_sha256=json_hash(splits),
        cases=tuple(cases),
        empty=result.empty,
        not_annotated=result.not_annotated,
        patient_pattern=options.patient_pattern,
    )
    result.cascade.save()
    return result


def _present_names(source: str, branches: Sequence[Branch]) -> dict[str, str] | None:
    """Names of the datasets that the source was stratified into before.

    None if some branch has none, if other datasets have their ids by now, or if the record cannot be read.
    """
    try:
        present = Cascade.load(source).datasets
    except ValueError:  # none yet, or a damaged one, which is written anew
        return None
    names = {branch.key: present[branch.key] for branch in branches if branch.key in present}
    if len(names) < len(branches) or others_with_ids_of(names):
        return None
    return names


def _read_dataset_json(source: str) -> dict[str, Any]:
    path = raw_folder() / source / "dataset.json"
    data = read_user_json(path)
    needed = {"channel_names": dict, "labels": dict, "file_ending": str}
    if not isinstance(data, dict) or not all(isinstance(data.get(key), kind) for key, kind in needed.items()):
        raise InputError(f"{path}: expected nnU-Net's keys {', '.join(needed)}, got others; complete the file")
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
            "choose another profile or add aliases to a profile of your own"
        )
    if baseline:
        tiers.add("all")
    return [branch for branch in BRANCHES.values() if branch.tier in tiers]


def _write_branches(
    result: Stratification,
    cases: Mapping[str, CaseFiles],
    splits: list[dict[str, list[str]]],
    ending: str,
    *,
    listed: Mapping[str, Sequence[str]],
    options: StratifyOptions,
    say: Progress,
) -> None:
    """Write the datasets of all branches but SmallHard, which take their places together once all cases are checked."""
    cascade = result.cascade
    with ExitStack() as stack:
        staging = {}
        for branch in cascade.networks:
            if branch.key != "small_hard":
                staging[branch.key] = stack.enter_context(new_staging(cascade.raw(branch.key)))
        for index, (case, files) in enumerate(cases.items(), 1):
            own = [name for name in listed.get(case, ()) if name in cascade.labels]
            empty = write_branch_labels(cascade, case, files, staging, not_annotated=own, ending=ending)
            result.note(case, empty, own, options.empty_means_absent)
            remark = f" (empty: {', '.join(empty)})" if empty else ""
            say(f"[{index}/{len(cases)}] {case}{remark}")
        result.require_contours(cases)
        for key, folder in staging.items():
            write_branch_json(cascade, key, folder, cases, ending=ending)
            publish(folder, cascade.raw(key))
            preprocessed = cascade.preprocessed(key)
            write_json(preprocessed / "splits_final.json", splits)
            lacking = classes_not_annotated(result.not_annotated, branch_labels(cascade, key))
            write_json(preprocessed / NOT_ANNOTATED, lacking)
