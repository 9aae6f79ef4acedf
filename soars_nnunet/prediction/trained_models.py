"""Which organs of a cascade are asked for, and the trained models that they need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from soars_nnunet.cascade.manifest import Manifest, ManifestBranch
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.stored_model import StoredCascade, StoredModel
from soars_nnunet.errors import InputError, MissingArtifactError, did_you_mean_each
from soars_nnunet.prediction.branch_model import BranchModel
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.profile import Profile

SEGMENTING = ("anchor", "mid_level", "small_hard")
"""Branches whose classes are organs."""


def choose_organs(manifest: Manifest, wanted: Sequence[str] | None) -> list[str]:
    """Names of the wanted organs.

    Args:
        manifest: Of the cascade.
        wanted: In any spelling of the profile; None for all.

    Returns:
        Names in the profile, in its order.

    Raises:
        InputError: If the cascade does not segment one of them, or none is wanted.
    """
    segmented: set[str] = set()
    for branch in SEGMENTING:
        if branch in manifest.branches:
            segmented.update(manifest.branches[branch].classes)
    known = [organ.name for organ in manifest.profile.organs if organ.name in segmented]
    if wanted is None:
        return known
    chosen, unknown = set(), []
    for spelling in wanted:
        organ = manifest.profile.resolve(spelling)
        if organ is None or organ.name not in known:
            unknown.append(spelling)
        else:
            chosen.add(organ.name)
    if unknown or not chosen:
        question = did_you_mean_each(unknown, known)
        raise InputError(f"organs: expected some of {', '.join(known)}; got {', '.join(unknown) or 'none'}{question}")
    return [name for name in known if name in chosen]


def needed_branches(profile: Profile, organs: Sequence[str]) -> set[str]:
    """Branches that organs depend on; anchors guide every other, heat maps small & hard."""
    needed = {"anchor"}
    for name in organs:
        needed.add(profile.by_name[name].tier)
    if "small_hard" in needed:
        needed.add("detection")
    return needed


def load_models(stored: StoredCascade, organs: Sequence[str], options: PredictionOptions) -> dict[str, BranchModel]:
    """Models of the branches that organs need, by branch.

    Args:
        stored: The trained cascade.
        organs: Their names in the profile.
        options: Folds, device and tiling; all branches are loaded where all organs are asked for.

    Raises:
        MissingArtifactError: If a branch or a fold is missing, or branches do not belong together.
    """
    manifest = stored.manifest
    needed = set(manifest.branches) if options.organs is None else needed_branches(manifest.profile, organs)
    device = torch.device(options.device)
    models = {}
    for key, branch in manifest.branches.items():
        if key not in needed:
            continue
        model = stored.branch(key)
        folds = _folds_to_average(model, branch, options)
        models[key] = BranchModel(model, folds, device, options.used_tiling, mirror=options.mirror)
    _check_models(models)
    return models


def lacking_folds(stored: StoredCascade, models: Mapping[str, BranchModel], options: PredictionOptions) -> list[str]:
    """A sentence for each branch whose networks are fewer than its split has folds; none where folds were asked for.

    Args:
        stored: The trained cascade.
        models: Its loaded branches.
        options: As they were loaded with.
    """
    if options.folds is not None or options.fast or stored.bundle is not None:
        return []
    notes = []
    for key, model in models.items():
        described = stored.manifest.branches[key]
        lost = sorted(set(described.weights) - set(model.folds))
        lacking = sorted(set(range(len(described.training_patients))) - set(model.folds))
        if lost:
            notes.append(f"{key}: the weights of fold(s) {lost} were trained and are gone from {model.name}")
        elif lacking:
            notes.append(f"{key}: averages fold(s) {model.folds}; fold(s) {lacking} are not trained")
    return notes


def _folds_to_average(model: StoredModel, branch: ManifestBranch, options: PredictionOptions) -> Sequence[int]:
    """Asked for, or the trained ones of the split, not extra ones that nnU-Net splits at random."""
    if options.folds is not None:
        return options.folds
    num_folds = len(branch.training_patients)
    of_split = [fold for fold in model.folds if fold < num_folds]
    return of_split[:1] if options.fast else of_split


def _check_models(models: Mapping[str, BranchModel]) -> None:
    if "anchor" not in models:
        raise MissingArtifactError("the manifest has no anchor branch; run soars-plan and train the cascade")
    if "detection" in models and "small_hard" not in models:
        raise MissingArtifactError(
            "the manifest has a detection but no small & hard branch; run soars-channels, soars-plan and train it"
        )
    anchor = PlansFile(models["anchor"].plans_manager.plans).grid_and_units
    for key in ("mid_level", "detection"):
        model = models.get(key)
        if model is None or not model.settings.guidance:
            continue
        own = PlansFile(model.plans_manager.plans).grid_and_units
        if own != anchor:
            raise MissingArtifactError(
                f"{key} works at {own}, its anchors at {anchor}; retrain one of them as the other is"
            )
