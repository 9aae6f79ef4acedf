"""A branch's settings as ``soars-plan`` completes them: what trainer and prediction need beside the regime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from soars_nnunet.cascade.case_names import without_further_crops
from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.errors import InputError
from soars_nnunet.prediction.sliding_window import validate_steps
from soars_nnunet.profile import Profile
from soars_nnunet.settings.branch_settings import BranchSettings, MirrorOrder
from soars_nnunet.settings.passes import complete_passes


def complete_settings(
    settings: BranchSettings, cascade: Cascade, branch: str, dataset_json: dict[str, Any]
) -> BranchSettings:
    """Settings with channels, iterations, split and the order of a mirrored patch.

    Args:
        settings: Of a regime.
        cascade: The stratified dataset.
        branch: Branch key.
        dataset_json: Of the branch, with ``channel_names`` and the guidance channels that it has.

    Raises:
        InputError: If patches are to be mirrored although an organ's partner is missing.
    """
    settings = complete_passes(settings, mean_training_cases(cascade, branch))
    validate_steps(settings.step_size)
    channel_names = dataset_json["channel_names"]
    guidance = dataset_json["soars"]["guidance"] if len(channel_names) > 1 else []
    mirror = _mirror(cascade, branch, guidance)
    if settings.p_mirror and not mirror.is_complete:
        raise InputError(
            f"p_mirror: expected both sides of every paired organ in {cascade.datasets[branch]}, got only one of some; "
            "mirrored, it would be taken for its partner; set p_mirror=0"
        )
    return replace(
        settings,
        channel_names=channel_names,
        guidance=tuple(guidance),
        mirror=mirror,
        split_sha256=cascade.split_hash(branch),
        patient_pattern=cascade.patient_pattern,
    )


def mean_training_cases(cascade: Cascade, branch: str) -> float:
    """Training cases of a fold, the mean over folds."""
    counts = []
    for split in cascade.splits(branch):
        counts.append(len(without_further_crops(split["train"])))
    return float(np.mean(counts))


def mirror_order(names: Sequence[str], profile: Profile) -> tuple[int, ...] | None:
    """Where each channel comes from when left and right change sides.

    Args:
        names: CT or background first, then organs or detection targets of the profile.
        profile: Knows the partners.

    Returns:
        Index of each name's partner, its own for names on the midline; None if a partner is not among the names.
    """
    order = [0]
    for name in names[1:]:
        partner = profile.mirrored(name)
        if partner not in names:
            return None
        order.append(names.index(partner))
    return tuple(order)


def _mirror(cascade: Cascade, branch: str, guidance: Sequence[str]) -> MirrorOrder:
    classes = ["background"]
    for name, _ in branch_labels(cascade, branch):
        classes.append(name)
    return MirrorOrder(
        classes=mirror_order(classes, cascade.profile),
        channels=mirror_order(["CT", *guidance], cascade.profile),
    )
