"""Cross-validated cascade: every training case predicted by models that never saw its patient.

A fold's models of all branches predict the fold's validation cases, as paper table 3 needs it. The
label volumes also decide, organ by organ, whether prediction keeps only the largest part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import SimpleITK as sitk
import torch

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.cascade.made_from import stratification_hash
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.record import CROSS_VALIDATION, MANIFEST, Cascade
from soars_nnunet.cascade.source_cases import unchanged_cases
from soars_nnunet.cascade.storage import file_hash, json_hash, read_object
from soars_nnunet.cascade.trained import require_folds, require_same_classes, require_same_split
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.evaluation.case_volumes import CaseVolumes, JudgedVolumes
from soars_nnunet.evaluation.centers import TargetScore, reported_centers_mm, score_targets
from soars_nnunet.evaluation.organ_scores import OrganScore, score_case
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.images.label_map import check_same_grid, read_label_map
from soars_nnunet.networks.model_folder import TrainedCascade
from soars_nnunet.prediction.doubts import cross_validation_doubts
from soars_nnunet.prediction.files import predict_files
from soars_nnunet.prediction.held_out import require_held_out
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.postprocess import (
    ComponentEffect,
    component_dices,
    component_effects,
    write_postprocessing,
)
from soars_nnunet.prediction.tiling import DEFAULT_TILING, Tiling
from soars_nnunet.progress import Progress, silent


class CrossValidation(NamedTuple):
    """What a cross-validation found.

    Attributes:
        evaluation: Scores of the volumes as predicted.
        effects: Effect of the largest part by organ that any reference has.
        folder: Of the volumes.
    """

    evaluation: Evaluation
    effects: list[ComponentEffect]
    folder: Path


@dataclass(frozen=True)
class PredictedCase:
    """A case that models predicted which did not train on it.

    Attributes:
        name: Of the case.
        predicted: Its label volume, in the profile's labels; the report lies beside it.
        reference: Its label map, in the source dataset's labels.
    """

    name: str
    predicted: Path
    reference: Path


def cross_validate(
    cascade: Cascade,
    plans: str,
    device: torch.device | str = "cpu",
    tiling: Tiling = DEFAULT_TILING,
    *,
    mirror: bool = False,
    folds: Sequence[int] | None = None,
    bundle: Bundle | None = None,
    progress: Progress = silent,
) -> CrossValidation:
    """Predict every training case with its own fold's models, score it, decide the post-processing.

    Writes label volumes and reports (without post-processing; finished ones are verified and kept) to
    ``cross_validation`` beside the manifest, and the decision beside it, where prediction finds it.
    Some of the folds alone decide nothing. Nor does a bundle, each of whose folds predicts the validation cases of the
    fold of the same number; what it predicts goes to a folder of its own.

    Args:
        cascade: Stratified dataset with all branches trained on these folds.
        plans: Plans of the variant.
        device: Where the networks run.
        tiling: Where the networks run, and on how large tiles.
        mirror: Test-time augmentation: average every network with itself on the mirrored input.
        folds: Only the validation cases of these; None for all.
        bundle: Predicts in place of the models that were trained on this dataset; None for these.
        progress: Receives one line per case.

    Raises:
        MissingArtifactError: If a branch is not planned, a fold unknown, not trained, or trained on another split; if a
            fold of the bundle trained on a patient that it is to predict, or none on any patient of the dataset.
        InputError: If a CT is not usable.
    """
    if bundle is None:
        folder = _trained_manifest(cascade, plans, folds).parent
    else:
        require_held_out(bundle, cascade, folds)
        folder = cascade.bundle_results(bundle.name)
    trained = bundle or TrainedCascade(folder / MANIFEST)
    output = folder / CROSS_VALIDATION
    files = unchanged_cases(cascade)
    models: dict[str, list[str]] = {}
    predicted: list[PredictedCase] = []
    splits = cascade.splits()
    for fold in range(len(splits)) if folds is None else sorted(set(folds)):
        progress(f"fold {fold}")
        cases = splits[fold]["val"]
        cts = [(case, files[case].ct) for case in cases]
        options = PredictionOptions(folds=[fold], device=device, tiling=tiling, mirror=mirror, postprocess=False)
        written = predict_files(cts, output, trained, options, progress=progress)
        for case, path in zip(cases, written, strict=True):
            predicted.append(PredictedCase(case, path, files[case].labels))
        _note_models(models, output / f"{cases[0]}.json")
    predicted.sort(key=lambda case: case.name)
    evaluation, effects = _score(predicted, cascade)
    doubts = cross_validation_doubts(trained.manifest, tiling, folds, len(splits))
    if folds is None and bundle is None:
        how = {"tiling": tiling.to_json(), "mirror": mirror}
        write_postprocessing(folder / MANIFEST, effects, models, how, cascade=trained.manifest.fingerprint)
    return CrossValidation(replace(evaluation, warnings=tuple(doubts)), effects, output)


def _note_models(models: dict[str, list[str]], report: Path) -> None:
    """Add the hashes of the weights that a report names, by branch."""
    for branch, hashes in read_object(report)["sha256"]["models"].items():
        models.setdefault(branch, []).extend(hashes)


def _trained_manifest(cascade: Cascade, plans: str, folds: Sequence[int] | None) -> Path:
    """Manifest of a cascade all of whose branches are planned, and trained on these folds of the present split."""
    for branch in cascade.branches:
        own = cascade.plans_of(branch.key, plans)
        require_folds(cascade, branch.key, own, folds)
        require_same_split(cascade, branch.key, own)
        require_same_classes(cascade, branch.key, own)
    path = cascade.manifest(plans)
    expected = {branch.key for branch in cascade.branches}
    manifest = Manifest.load(path) if path.is_file() else None
    if manifest is None or set(manifest.branches) != expected:
        raise MissingArtifactError(
            f"expected {path} with all {len(expected)} branches; rerun soars-plan with --plans-name {plans}"
        )
    if not _is_of(manifest, cascade):
        raise MissingArtifactError(
            f"{path}: made from another stratification of {cascade.source} than the present one (organs, labels, split "
            "or organs not annotated), so its predictions would be scored as other organs; stratify as before, or run "
            "soars-plan and the trainings again"
        )
    return path


def _is_of(manifest: Manifest, cascade: Cascade) -> bool:
    """Whether a manifest was made from the present stratification, as far as it says."""
    if manifest.made_from is not None:
        return manifest.made_from.stratification == stratification_hash(cascade)
    ours = {organ.name: (organ.label, organ.tier) for organ in cascade.profile.organs}
    return ours == {organ.name: (organ.label, organ.tier) for organ in manifest.profile.organs}


def _score(cases: Sequence[PredictedCase], cascade: Cascade) -> tuple[Evaluation, list[ComponentEffect]]:
    """Scores of all cases, and what keeping the largest parts changes."""
    profile = cascade.profile
    scores: list[OrganScore] = []
    targets: list[TargetScore] = []
    dices = []
    hashes = {}
    for case in cases:
        hashes[case.name] = {"prediction": file_hash(case.predicted), "reference": file_hash(case.reference)}
        predicted, reference = read_label_map(case.predicted), read_label_map(case.reference)
        check_same_grid(predicted, case.reference, str(case.predicted))
        annotated = _annotated_labels(cascade, case.name)
        judged = JudgedVolumes.of(sitk.GetArrayFromImage(predicted), sitk.GetArrayFromImage(reference), cascade.ignore)
        volumes = CaseVolumes(
            case=case.name,
            predicted=judged.predicted,
            reference=judged.reference,
            spacing_mm=reference.GetSpacing()[::-1],
            reference_labels={"background": 0, **annotated},
        )
        # what is not annotated is left out already
        scores += score_case(volumes, profile, empty_means_absent=True)
        detected_mm = reported_centers_mm(case.predicted.with_name(f"{case.name}.json"), reference)
        centered = replace(volumes, not_annotated=judged.partly_judged(annotated))
        targets += score_targets(centered, profile, detected_mm)
        dices.append(
            component_dices(volumes.predicted, volumes.reference, volumes.spacing_mm, profile, labels=annotated)
        )
    evaluation = Evaluation(
        scores=tuple(scores),
        profile=profile.name,
        prediction=str(cases[0].predicted.parent),
        reference=str(cases[0].reference.parent),
        targets=tuple(targets),
        paper_names={organ.name: organ.paper_name for organ in profile.organs},
        sha256={"profile": json_hash(profile.to_dict()), "cases": hashes},
    )
    return evaluation, component_effects(dices, profile)


def _annotated_labels(cascade: Cascade, case: str) -> dict[str, int]:
    """Source labels of the organs that are annotated in a case."""
    lacking = cascade.not_annotated.get(case, ())
    return {name: label for name, label in cascade.labels.items() if name not in lacking}
