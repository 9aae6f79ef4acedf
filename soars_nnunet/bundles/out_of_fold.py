"""The evaluation that ``soars-cross-validate`` leaves beside a cascade, as far as it is of a bundle's own weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from soars_nnunet.bundles.card_evaluation import LabelledEvaluation
from soars_nnunet.cascade.case_names import name_hashes, patient_of
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.record import CROSS_VALIDATION
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.evaluation.evaluation_file import FILE_NAME, read_evaluation
from soars_nnunet.profile import Profile

TITLE = "Out of fold, mean (95 % interval)"

LEGEND = (
    "DSC and surface DSC go from 0 to 1. HD95 is the 95th percentile of the surface distances, ASD their average. "
    "Surface DSC counts surfaces within the organ's tolerance.",
    "Cases: those in which the organ is annotated, or wrongly predicted. Missed: annotated, not predicted; it counts "
    "as DSC 0 and has no distances. A false positive counts as DSC 0.",
    "Intervals: percentile bootstrap over patients, 4000 resamples; none below 5 patients.",
)
"""Below each table of scores."""


@dataclass(frozen=True)
class OutOfFold:
    """An evaluation out of fold, or why there is none.

    Attributes:
        evaluation: Of the cases that count; None without any.
        reason: Why there is none; empty if there is one.
    """

    evaluation: LabelledEvaluation | None
    reason: str = ""


def read_out_of_fold(
    manifest: Path, cascade: Manifest, folds: Mapping[str, Sequence[int]], fingerprints: Mapping[str, Sequence[str]]
) -> OutOfFold:
    """Read the evaluation beside a manifest.

    A case counts if the report beside its labels says that weights of the bundle predicted it, and that none of them
    was trained on its patient.

    Args:
        manifest: Path of the cascade's manifest.
        cascade: What it holds.
        folds: Folds in the bundle, by branch.
        fingerprints: Hashes of their weights, by branch, in the same order.

    Raises:
        InputError: If the evaluation is damaged.
    """
    folder = manifest.parent / CROSS_VALIDATION
    file = _evaluation_file(folder)
    if file is None:
        return OutOfFold(None, "soars-cross-validate was not run")
    evaluation = read_evaluation(file)
    seen_by = _patients_by_weights(cascade, folds, fingerprints)
    counted = []
    for case in evaluation.cases():
        patient = patient_of(case, cascade.patient_pattern) or case
        weights = _weights_of(folder / f"{case}.json")
        known = bool(weights) and weights <= set(seen_by)
        hashed = name_hashes([patient])[0]
        if known and not any(hashed in seen_by[one] for one in weights):
            counted.append(case)
    if not counted:
        return OutOfFold(None, "the cross-validation is of other weights; rerun soars-cross-validate")
    notes = list(LEGEND)
    left_out = len(evaluation.cases()) - len(counted)
    if left_out:
        notes.append(f"{left_out} cases are left out: other weights predicted them.")
    scores = tuple(score for score in evaluation.scores if score.case in set(counted))
    kept = replace(evaluation, scores=scores, targets=())
    labelled = LabelledEvaluation(
        key=CROSS_VALIDATION,
        title=TITLE,
        evaluation=kept,
        patient_pattern=cascade.patient_pattern,
        tolerances_mm=tolerances_mm(cascade.profile),
        notes=tuple(notes),
    )
    return OutOfFold(labelled)


def tolerances_mm(profile: Profile) -> dict[str, float | None]:
    """Tolerance of the surface DSC by organ, in mm; None where the profile has none."""
    return {organ.name: organ.tolerance_mm for organ in profile.organs}


def _evaluation_file(folder: Path) -> Path | None:
    """Of all folds; without that, of the most folds; None if there is none."""
    if (folder / FILE_NAME).is_file():
        return folder / FILE_NAME
    some_folds = sorted(folder.glob("evaluation_folds_*.json"), key=lambda path: (len(path.stem), path.stem))
    return some_folds[-1] if some_folds else None


def _patients_by_weights(
    cascade: Manifest, folds: Mapping[str, Sequence[int]], fingerprints: Mapping[str, Sequence[str]]
) -> dict[str, set[str]]:
    """Hashes of the patients that each weights file was trained on."""
    seen = {}
    for branch, of_branch in folds.items():
        for fold, fingerprint in zip(of_branch, fingerprints[branch], strict=True):
            seen[fingerprint] = cascade.trained_on(branch, [fold])
    return seen


def _weights_of(report: Path) -> set[str]:
    """Hashes of all weights that predicted a case; empty without a readable report."""
    try:
        found: Any = read_json(report)["sha256"]["models"]
        weights: set[str] = set()
        for hashes in found.values():
            weights.update(hashes)
    except (MissingArtifactError, KeyError, TypeError, AttributeError):
        return set()
    return weights
