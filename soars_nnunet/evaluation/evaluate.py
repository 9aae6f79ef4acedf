"""Scores per organ, tier and detection target over folders of label volumes.

Pairs prediction and reference files (label_files.py), scores each pair (organ_scores.py, centers.py) and
gathers the scores (scores.py). Axes: (Z, Y, X), mm.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import chain
from multiprocessing import get_context
from pathlib import Path

from soars_nnunet.cascade.not_annotated import read_not_annotated
from soars_nnunet.cascade.storage import file_hash, json_hash
from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.case_volumes import CaseVolumes, JudgedVolumes, resolve_labels, without_ignore
from soars_nnunet.evaluation.centers import TargetScore, reported_centers_mm, score_targets
from soars_nnunet.evaluation.choose_profile import MAX_SHOWN
from soars_nnunet.evaluation.label_files import (
    CaseFiles,
    case_name,
    is_labels_part,
    pair_files,
    read_label_list,
    read_pair,
)
from soars_nnunet.evaluation.organ_scores import NOT_IN_REFERENCE, SCORED, OrganScore, score_case
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.profile import Profile
from soars_nnunet.progress import Progress, silent

logger = logging.getLogger(__name__)

LEFT_OUT = {
    "unknown_in_prediction": "label names of the prediction that the profile does not know",
    "unknown_in_reference": "label names of the reference that the profile does not know",
    "not_predictable": "organs without a label in the prediction's list, missed where present",
    "predictions_without_reference": "predictions without reference, left out",
    "references_without_prediction": "references without prediction, left out",
}
"""What is said of the lists of an ``Evaluation`` that are not empty."""


@dataclass(frozen=True)
class EvaluationOptions:
    """How folders are evaluated.

    Attributes:
        prediction_labels: JSON with ``labels`` (nnU-Net's dataset.json) of the prediction; None looks for
            ``dataset.json`` in its folder, and without one takes the profile's labels.
        reference_labels: The same of the reference; also looked for above its folder, as in a raw nnU-Net dataset.
        not_annotated: JSON of organs by case that nobody drew in the reference (see ``read_not_annotated``).
        allow_missing: Accept references without prediction and list them.
        empty_means_absent: Organs of the reference's list without a voxel are truly absent.
        num_processes: Cases scored at a time, 1 or more; each in a process of its own above 1.
    """

    prediction_labels: Path | None = None
    reference_labels: Path | None = None
    not_annotated: Path | None = None
    allow_missing: bool = False
    empty_means_absent: bool = False
    num_processes: int = 1


@dataclass(frozen=True)
class _Labels:
    """What the values of all label volumes mean, and how empty organs are judged.

    Attributes:
        profile: Organs to score.
        predicted: Label value by name in the predictions; None for the profile's.
        reference: The same of the references.
        ignore: Value of the references' voxels that nobody judged; None without such.
        ignore_predicted: The same of the predictions, which may be another observer's.
        empty_means_absent: Organs of the reference's list without a voxel are truly absent.
    """

    profile: Profile
    predicted: dict[str, int] | None
    reference: dict[str, int] | None
    ignore: int | None
    ignore_predicted: int | None
    empty_means_absent: bool


@dataclass(frozen=True)
class _Job:
    """One case on its way to a worker.

    Attributes:
        files: Its label files.
        labels: What their values mean.
        not_annotated: Organs that nobody drew in the reference.
    """

    files: CaseFiles
    labels: _Labels
    not_annotated: tuple[str, ...]


@dataclass(frozen=True)
class _CaseScores:
    """Scores of one case, the seconds that they took, and the hashes of its files."""

    organs: list[OrganScore]
    targets: list[TargetScore]
    seconds: float
    sha256: dict[str, str]


def evaluate_folders(
    prediction: Path,
    reference: Path,
    profile: Profile,
    options: EvaluationOptions | None = None,
    *,
    progress: Progress = silent,
) -> Evaluation:
    """Evaluate label files against references of the same name.

    Args:
        prediction: Folder, or one file (then only its case is evaluated).
        reference: Folder, or one file.
        profile: Organs to score.
        options: Label lists, and what becomes of what is missing; None for the defaults.
        progress: Called after each case with ``"2/10 case 1.3 s"``.

    Returns:
        Scores of every pair, and what was left out: a file that cannot be read or holds no labels, and a pair on two
        grids, do not stop the others.

    Raises:
        ValueError: If there is no pair that can be scored, a reference has no prediction, label names contradict each
            other, or a worker dies.
    """
    options = options or EvaluationOptions()
    prediction, reference = Path(prediction), Path(reference)
    files = pair_files(prediction, reference, options.allow_missing)
    labels = _read_labels(prediction, reference, profile, options)
    values_p, unknown_p = resolve_labels(labels.predicted, profile)
    _, unknown_r = resolve_labels(labels.reference, profile)
    jobs = _jobs(files.cases, labels, options.not_annotated)
    done, faults = _score_usable(jobs, options.num_processes, progress)
    unusable = (*files.unusable, *faults)
    if not done:
        raise InputError("; ".join(unusable))
    scores = list(chain.from_iterable(case.organs for case in done.values()))
    evaluation = Evaluation(
        scores=tuple(scores),
        profile=profile.name,
        prediction=str(prediction),
        reference=str(reference),
        unknown_in_prediction=unknown_p,
        unknown_in_reference=unknown_r,
        not_predictable=tuple(organ.name for organ in profile.organs if organ.name not in values_p),
        predictions_without_reference=files.without_reference,
        references_without_prediction=files.without_prediction,
        targets=tuple(chain.from_iterable(case.targets for case in done.values())),
        paper_names={organ.name: organ.paper_name for organ in profile.organs},
        empty_means_absent=options.empty_means_absent,
        unusable=unusable,
        warnings=tuple(doubtful_scores(scores)),
        sha256={"profile": json_hash(profile.to_dict()), "cases": {name: case.sha256 for name, case in done.items()}},
    )
    _warn_left_out(evaluation)
    return evaluation


def _read_labels(prediction: Path, reference: Path, profile: Profile, options: EvaluationOptions) -> _Labels:
    """What the values of both sides mean.

    Raises:
        InputError: If they name no organ of the profile in common.
    """
    listed = read_label_list(prediction, options.prediction_labels, "prediction", is_labels_part(prediction))
    of_predicted, ignore_predicted = without_ignore(listed)
    listed = read_label_list(reference, options.reference_labels, "reference", look_above=True)
    of_reference, ignore = without_ignore(listed)
    labels = _Labels(
        profile=profile,
        predicted=of_predicted,
        reference=of_reference,
        ignore=ignore,
        ignore_predicted=ignore_predicted,
        empty_means_absent=options.empty_means_absent,
    )
    predicted, _ = resolve_labels(labels.predicted, profile)
    referred, _ = resolve_labels(labels.reference, profile)
    if not set(predicted) & set(referred):
        raise InputError(
            f"no organ can be compared: of profile {profile.name} the predictions name {_shown(predicted)}, the "
            f"references {_shown(referred)}; give another --profile, --prediction-labels or --reference-labels"
        )
    return labels


def doubtful_scores(scores: Sequence[OrganScore]) -> list[str]:
    """What is odd about all scores together, a sentence each.

    Args:
        scores: Of all cases.

    Raises:
        InputError: If nothing could be compared.
    """
    judged = [score for score in scores if score.status != NOT_IN_REFERENCE]
    if not judged:
        raise InputError(
            "no organ can be compared: no reference has a voxel of an organ that it names; check the files, the label "
            "lists and --not-annotated"
        )
    both = [score for score in judged if score.status == SCORED]
    if both and not any(score.dsc for score in both):
        return [
            f"No organ overlaps its reference in any of {len(both)} comparisons: are these the same patients, and do "
            "the labels mean what the label lists say?"
        ]
    return []


def _jobs(cases: Sequence[CaseFiles], labels: _Labels, not_annotated: Path | None) -> list[_Job]:
    listed = read_not_annotated(not_annotated, labels.profile, None) if not_annotated else {}
    jobs = []
    for files in cases:
        jobs.append(_Job(files, labels, tuple(listed.get(files.case, ()))))
    return jobs


def _score_usable(
    jobs: Sequence[_Job], num_processes: int, progress: Progress
) -> tuple[dict[str, _CaseScores], list[str]]:
    """Scores by case, and why other cases have none."""
    scores: dict[str, _CaseScores] = {}
    faults: list[str] = []
    for number, (job, done) in enumerate(_score_all(jobs, num_processes), 1):
        told = f"{number}/{len(jobs)} {job.files.case}"
        if isinstance(done, str):
            faults.append(done)
            progress(f"{told} left out: {done}")
        else:
            scores[job.files.case] = done
            progress(f"{told} {done.seconds:.1f} s")
    return scores, faults


def _score_all(jobs: Sequence[_Job], num_processes: int) -> Iterator[tuple[_Job, _CaseScores | str]]:
    """Score the cases, in order, as they are done; of those that cannot be, why."""
    if num_processes < 1:
        raise InputError(f"expected at least one process, got {num_processes}")
    workers = min(num_processes, len(jobs))
    if workers == 1:
        for job in jobs:
            yield job, _attempt(job)
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        try:
            yield from zip(jobs, pool.map(_attempt, jobs), strict=True)
        except BrokenProcessPool as error:
            raise ValueError("a worker died, perhaps for want of memory; use fewer processes") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _attempt(job: _Job) -> _CaseScores | str:
    """Scores of a case, or why there are none, on one line."""
    try:
        return _score_job(job)
    except (ValueError, OSError) as error:
        return f"{job.files.case}: {' '.join(str(error).split())}"


def _score_job(job: _Job) -> _CaseScores:
    started = time.perf_counter()
    pair = read_pair(job.files)
    judged = JudgedVolumes.of(pair.predicted, pair.reference, job.labels.ignore, job.labels.ignore_predicted)
    volumes = CaseVolumes(
        case=job.files.case,
        predicted=judged.predicted,
        reference=judged.reference,
        spacing_mm=pair.header.GetSpacing()[::-1],
        predicted_labels=job.labels.predicted,
        reference_labels=job.labels.reference,
        not_annotated=job.not_annotated,
    )
    organs = score_case(volumes, job.labels.profile, job.labels.empty_means_absent)
    path = job.files.prediction
    detected_mm = reported_centers_mm(path.with_name(f"{case_name(path)}.json"), pair.header)
    cut = judged.partly_judged(volumes.reference_values(job.labels.profile))
    centered = replace(volumes, not_annotated=(*job.not_annotated, *cut))
    targets = score_targets(centered, job.labels.profile, detected_mm)
    sha256 = {"prediction": file_hash(path), "reference": file_hash(job.files.reference)}
    return _CaseScores(organs, targets, time.perf_counter() - started, sha256)


def _shown(values: Mapping[str, int]) -> str:
    names = list(values)
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return (", ".join(names[:MAX_SHOWN]) or "none") + more


def _warn_left_out(evaluation: Evaluation) -> None:
    for sentence in evaluation.warnings:
        logger.warning("warning: %s", sentence)
    for name, text in LEFT_OUT.items():
        entries = getattr(evaluation, name)
        if entries:
            logger.warning("%s: %s", text, ", ".join(entries))
