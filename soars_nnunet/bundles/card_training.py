"""Section 3 of a model card: the data, and how the networks were trained on it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from soars_nnunet.bundles.card import CardTable, Cell, Column, Text
from soars_nnunet.bundles.card_facts import CardFacts
from soars_nnunet.bundles.card_model import BRANCH_NAMES
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.errors import InputError
from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.regime import load_regime
from soars_nnunet.settings.regime_settings import OF_FINE_TUNING, RegimeSettings

NOT_COMPARED = ("regime", *OF_FINE_TUNING)
"""Settings that say nothing of a branch's training."""


def training_texts(facts: CardFacts) -> dict[str, Text]:
    """Entries of section 3 that the program fills, by key."""
    first = next(iter(facts.plans.values()))
    settings = first.settings
    spacing = " x ".join(f"{mm:.3g}" for mm in first.contents["original_median_spacing_after_transp"])
    branch = next(iter(facts.manifest.branches.values()))
    folds = ", ".join(str(len(patients)) for patients in branch.training_patients)
    num_folds = len(branch.training_patients)
    per_patient = "case by case" if facts.manifest.patient_pattern is None else "patient by patient"
    differing = "what differs is in a table below" if settings_table(facts) else "no setting differs from it"
    return {
        "dataset": facts.manifest.source,
        "image_resolution": f"median voxel (Z, Y, X) {spacing} mm",
        "patients": f"{facts.num_patients} patients; the folds train on {folds} of them",
        "not_annotated": _not_annotated(facts),
        "validation_strategy": f"{num_folds}-fold cross-validation, split {per_patient}; the split is the same in all "
        "branches, and guidance of later branches is made out of fold",
        "regime": f"{settings.regime} (in plans/regimes.json); {differing}",
        "initialisation": _initialisation(facts),
        "model_choice": "The weights after the last step. No checkpoint was chosen by validation.",
    }


def _initialisation(facts: CardFacts) -> str:
    """Bundles that branches were fine-tuned from, and where weights began as random numbers."""
    parts = []
    for branch, plans in facts.plans.items():
        settings = plans.settings
        seed = "of no fixed seed" if settings.seed is None else f"of seed {settings.seed}"
        text = f"random, {seed}"
        origin = facts.manifest.branches[branch].started_from
        if origin is not None:
            text = f"fine-tuned from the bundle {origin.bundle} (manifest.json of SHA-256 {origin.sha256[:16]}...)"
            if settings.start is not None and settings.start.added:
                text += f"; new to it: {', '.join(settings.start.added)}"
        parts.append((BRANCH_NAMES.get(branch, branch), text))
    if len({text for _, text in parts}) == 1:
        return parts[0][1]
    return "; ".join(f"{branch}: {text}" for branch, text in parts)


def _not_annotated(facts: CardFacts) -> str:
    if facts.patients is None:
        return "not known: the bundle was made without the stratified dataset"
    lacking = [row.organ for row in facts.patients if row.patients < facts.num_patients]
    if not lacking:
        return "none: every organ has contours in every patient"
    return (
        f"{len(lacking)} of {len(facts.patients)} organs lack contours in some patients (table below). Where an organ "
        "was listed as not annotated, the loss did not take it for background."
    )


def patients_table(facts: CardFacts) -> CardTable | None:
    """Patients by organ and fold whose contours were trained on; None where that is not known."""
    if facts.patients is None:
        return None
    columns = [Column("organ", "organ"), Column("patients", "patients")]
    for fold in range(len(facts.patients[0].by_fold) if facts.patients else 0):
        columns.append(Column(f"fold_{fold}", f"fold {fold}"))
    rows: list[tuple[Cell, ...]] = []
    for row in facts.patients:
        rows.append((row.organ, row.patients, *row.by_fold))
    note = "Patients in whom the organ is annotated: in all, and among those that each fold trains on."
    return CardTable("patients", "Training patients by organ", tuple(columns), tuple(rows), notes=(note,))


def trainings_table(facts: CardFacts) -> CardTable:
    """Length and optimiser of every training."""
    columns = (
        Column("branch", "branch"),
        Column("fold", "fold"),
        Column("epochs", "epochs"),
        Column("steps", "steps"),
        Column("batch_size", "batch"),
        Column("optimizer", "optimiser"),
        Column("initial_lr", "learning rate", 5),
        Column("loss", "loss"),
        Column("augmentation", "augmentation"),
        Column("hours", "hours", 2),
        Column("device", "device"),
        Column("ended", "ended"),
    )
    rows: list[tuple[Cell, ...]] = []
    for training in facts.trainings:
        settings = facts.plans[training.branch].settings
        row = (
            BRANCH_NAMES.get(training.branch, training.branch),
            training.fold,
            training.epochs,
            training.steps,
            settings.batch_size,
            settings.optimizer,
            float(settings.initial_lr),
            _loss(settings),
            _augmentation(settings),
            training.hours,
            training.device or None,
            training.ended or None,
        )
        rows.append(row)
    return CardTable("trainings", "Trainings", columns, tuple(rows))


def _loss(settings: BranchSettings) -> str:
    if settings.branch == "detection":
        return f"squared error of heat maps, sigma {settings.sigma_mm:g} mm"
    parts = []
    if settings.dice_weight:
        parts.append(f"{settings.dice_weight:g} Dice")
    if settings.ce_weight:
        parts.append(f"{settings.ce_weight:g} cross entropy")
    return " + ".join(parts)


def _augmentation(settings: BranchSettings) -> str:
    """Names of what a patch may undergo."""
    kinds = {
        "scaling": settings.p_scaling,
        "rotation": settings.p_rotation,
        "intensity": settings.p_intensity,
        "noise and sharpness": settings.p_noise_sharpness,
        "mirroring with sides swapped": settings.p_mirror,
        "errors in guidance": settings.p_guidance_corruption or settings.p_guidance_dropout,
    }
    return ", ".join(name for name, probability in kinds.items() if probability) or "none"


def settings_table(facts: CardFacts) -> CardTable | None:
    """Settings that differ from the regime's, with the regime's value beside them; None if none does."""
    columns = (
        Column("branch", "branch"),
        Column("setting", "setting"),
        Column("value", "value"),
        Column("regime_value", "the regime's"),
    )
    rows: list[tuple[Cell, ...]] = []
    for branch, plans in facts.plans.items():
        for name, value, of_regime in _differing(plans):
            rows.append((BRANCH_NAMES.get(branch, branch), name, value, of_regime))
    if not rows:
        return None
    return CardTable("settings", "Settings that differ from the regime", columns, tuple(rows))


def _differing(plans: PlansFile) -> list[tuple[str, str, str]]:
    """Name, value and the regime's value of settings that are not as the regime has them."""
    settings = plans.settings
    try:
        regime = load_regime(settings.regime, settings.branch)
    except InputError:  # of another version
        return [("regime", settings.regime, "not known to this version")]
    found = []
    for one in fields(RegimeSettings):
        own, usual = getattr(settings, one.name), getattr(regime, one.name)
        if one.name in NOT_COMPARED or own == usual or usual is None and one.name == "iterations_per_epoch":
            continue
        found.append((one.name, _value(own), _value(usual)))
    return found


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(_value(one) for one in value)
    return "none" if value is None else str(value)
