"""Cross-validated cascade: every training case predicted by models that never saw its patient.

A fold's models of all branches predict the fold's validation cases, as paper table 3 needs it. The
label volumes also decide, organ by organ, whether prediction keeps only the largest part.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import SimpleITK as sitk
import torch

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.raw_cases import training_cases
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.cascade.trained import require_folds, require_same_split
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.evaluation.case_volumes import CaseVolumes
from soars_nnunet.evaluation.centers import reported_centers_mm, score_targets
from soars_nnunet.evaluation.organ_scores import score_case
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.images.label_map import check_same_grid, read_label_map
from soars_nnunet.prediction.files import predict_files
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.postprocess import (
    ComponentEffect,
    component_dices,
    component_effects,
    write_postprocessing,
)
from soars_nnunet.prediction.tiling import DEFAULT_TILING, Tiling
from soars_nnunet.progress import Progress, silent


def cross_validate(
    cascade: Cascade,
    plans: str,
    device: torch.device | str = "cpu",
    tiling: Tiling = DEFAULT_TILING,
    mirror: bool = False,
    folds: Sequence[int] | None = None,
    progress: Progress = silent,
) -> tuple[Evaluation, list[ComponentEffect], Path]:
    """Predict every training case with its own fold's models, score it, decide the post-processing.

    Writes label volumes and reports (without post-processing; finished ones are verified and kept) to
    ``cross_validation`` beside the manifest, and the decision beside it, where prediction finds it.
    Some of the folds alone are predicted and scored; they decide nothing.

    Args:
        cascade: Stratified dataset with all branches trained on these folds.
        plans: Plans of the variant.
        device: Where the networks run.
        tiling: Where the networks run, and on how large tiles.
        mirror: Test-time augmentation: average every network with itself on the mirrored input.
        folds: Only the validation cases of these; None for all.
        progress: Receives one line per case.

    Returns:
        Scores of the volumes as predicted; the effect of the largest part by organ that any
        reference has; the folder of the volumes.

    Raises:
        MissingArtifactError: If a branch is not planned, a fold unknown, not trained, or trained on another split.
        InputError: If a CT is not usable.
    """
    for branch in cascade.branches:
        own = cascade.plans_of(branch.key, plans)
        require_folds(cascade, branch.key, own, folds)
        require_same_split(cascade, branch.key, own)
    manifest = cascade.manifest(plans)
    if not manifest.is_file() or set(Manifest.load(manifest).branches) != {branch.key for branch in cascade.branches}:
        raise MissingArtifactError(
            f"expected {manifest} with all {len(cascade.branches)} branches; rerun soars-plan with --plans-name {plans}"
        )
    output = manifest.parent / "cross_validation"
    files = training_cases(cascade.source, read_json(raw_folder() / cascade.source / "dataset.json"))
    models: dict[str, list[str]] = {}
    written: dict[str, Path] = {}
    splits = cascade.splits()
    for fold in range(len(splits)) if folds is None else folds:
        split = splits[fold]
        progress(f"fold {fold}")
        cases = [(case, files[case][0]) for case in split["val"]]
        options = PredictionOptions(folds=[fold], device=device, tiling=tiling, mirror=mirror, postprocess=False)
        done = predict_files(cases, output, manifest, options, progress=progress)
        written |= {case: path for (case, _), path in zip(cases, done, strict=True)}
        for branch, hashes in read_json(output / f"{cases[0][0]}.json")["sha256"]["models"].items():
            models.setdefault(branch, []).extend(hashes)
    pairs = [(case, path, files[case][1]) for case, path in sorted(written.items())]
    evaluation, effects = _score(pairs, cascade)
    if folds is None:
        write_postprocessing(manifest, effects, models, {"tiling": tiling.to_json(), "mirror": mirror})
    return evaluation, effects, output


def _score(pairs: list[tuple[str, Path, Path]], cascade: Cascade) -> tuple[Evaluation, list[ComponentEffect]]:
    """Scores of all cases, and what keeping the largest parts changes."""
    profile, scores, targets = cascade.profile, [], []
    undrawn = cascade.not_annotated
    dices = []
    for case, predicted, reference in pairs:
        image_p, image_r = read_label_map(predicted), read_label_map(reference)
        check_same_grid(image_p, reference, str(predicted))
        array_p, array_r = (sitk.GetArrayFromImage(image) for image in (image_p, image_r))
        spacing_mm = image_r.GetSpacing()[::-1]
        drawn = {name: label for name, label in cascade.labels.items() if name not in undrawn.get(case, ())}
        volumes = CaseVolumes(
            case=case,
            predicted=array_p,
            reference=array_r,
            spacing_mm=spacing_mm,
            reference_labels={"background": 0, **drawn},
        )
        scores += score_case(volumes, profile, empty_means_absent=True)  # what nobody drew is left out already
        detected_mm = reported_centers_mm(predicted.with_name(f"{case}.json"), image_r)
        targets += score_targets(volumes, profile, detected_mm)
        dices.append(component_dices(array_p, array_r, spacing_mm, profile, drawn))
    folders = (str(pairs[0][1].parent), str(pairs[0][2].parent))
    effects = component_effects(dices, profile)
    names = {organ.name: organ.paper_name for organ in profile.organs}
    return Evaluation(tuple(scores), profile.name, *folders, targets=tuple(targets), paper_names=names), effects
