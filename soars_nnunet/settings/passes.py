"""Epochs that are passes over the training patches (paper sec. 4.1)."""

from __future__ import annotations

import math
from dataclasses import replace

from soars_nnunet.errors import InputError
from soars_nnunet.settings.branch_settings import BranchSettings


def complete_passes(settings: BranchSettings, num_cases: float) -> BranchSettings:
    """Settings with iterations where they say null: an epoch is one pass over the training patches (paper sec. 4.1).

    Args:
        settings: Of a branch.
        num_cases: Training cases of a fold, the mean over folds; VOI crops for small & hard.

    Raises:
        InputError: If ``patches_per_volume`` is null, too.
    """
    if settings.iterations_per_epoch is None:
        steps = _steps(settings, "iterations_per_epoch", num_cases, settings.batch_size)
        settings = replace(settings, iterations_per_epoch=steps)
    if settings.search_iterations_per_epoch is None:
        training = num_cases * (1 - settings.search_alpha_share)
        steps = _steps(settings, "search_iterations_per_epoch", training, settings.search_batch_size)
        settings = replace(settings, search_iterations_per_epoch=steps)
    return settings


def _steps(settings: BranchSettings, key: str, num_cases: float, batch_size: int) -> int:
    if settings.patches_per_volume is None:
        raise InputError(
            f"{key}=null: expected patches_per_volume beside it (paper: 70), as an epoch then is one pass over "
            "that many patches of each case, got null"
        )
    return math.ceil(num_cases * settings.patches_per_volume / batch_size)
