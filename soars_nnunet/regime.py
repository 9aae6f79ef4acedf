"""Training regimes: named sets of hyper-parameters in ``plans/regimes.json``."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from importlib import resources
from typing import Any

from soars_nnunet.artifacts import BRANCHES

SHARES = ("organ_centred_patches", "search_alpha_share", "step_size", "beta1", "beta2", "search_alpha_betas")
"""Keys of numbers that are at most 1, as are the probabilities ``p_...``."""
MAY_BE_0 = (
    "organ_centred_patches",
    "weight_decay",
    "beta1",
    "beta2",
    "search_alpha_betas",
    "dice_weight",
    "ce_weight",
    "dice_background",
    "dice_absent_classes",
    "side_output_weights",
    "lr_decays_by_step",
    "final_validation",
    "decoupled_weight_decay",
    "rotation_deg",
    "guidance_shift_voxels",
    "heatmap_foreground_weight",
    "seed",
    "search_seed",
    "search_frozen_epochs",
    "search_joint_epochs",
)
"""Keys of numbers, truths among them, that may be 0."""
NAMES = {"optimizer": ("RAdam", "SGD")}
"""Keys of names, and which there are."""


def regimes() -> dict[str, dict[str, Any]]:
    """All regimes as written: ``all`` holds the common values, a branch's key what differs."""
    return json.loads((resources.files("soars_nnunet.plans") / "regimes.json").read_text(encoding="utf-8"))


def load_regime(name: str, branch: str, overrides: Iterable[str] = ()) -> dict[str, Any]:
    """Hyper-parameters of a branch under a regime.

    Args:
        name: Regime, for example ``paper`` or ``demo``.
        branch: Key in ``BRANCHES``.
        overrides: See ``override_settings``.

    Raises:
        ValueError: On an unknown regime or key, or a value that is not JSON.
    """
    known = regimes()
    if name not in known:
        raise ValueError(f"regime: expected one of {', '.join(known)}, got '{name}'")
    return override_settings({"regime": name, **known[name]["all"], **known[name].get(branch, {})}, branch, overrides)


def override_settings(settings: dict[str, Any], branch: str, overrides: Iterable[str]) -> dict[str, Any]:
    """Hyper-parameters with the user's own values.

    Args:
        settings: Of a branch.
        branch: Its key.
        overrides: ``KEY=VALUE`` for every branch or ``BRANCH.KEY=VALUE`` for one; values are JSON.

    Raises:
        ValueError: On an unknown key, a value that is not JSON, or one of another kind than the regimes have.
    """
    settings = dict(settings)
    for override in overrides:
        path, equals, value = override.partition("=")
        scope, _, key = path.rpartition(".")
        if not equals or key not in settings or scope not in ("", *BRANCHES):
            raise ValueError(
                f"--set: expected KEY=VALUE or BRANCH.KEY=VALUE with a key of {', '.join(settings)}, got '{override}'"
            )
        try:
            parsed = json.loads(value)
        except json.JSONDecodeError as error:
            raise ValueError(f"--set {path}: expected a JSON value such as 50 or [48,48,48], got '{value}'") from error
        parts = [part for regime in regimes().values() for part in regime.values() if isinstance(part, dict)]
        examples = [part[key] for part in parts if key in part]
        if not any(_is_alike(parsed, example) for example in examples) or not _is_in_range(parsed, key):
            known = " or ".join(dict.fromkeys(map(json.dumps, NAMES.get(key, examples))))
            raise ValueError(f"--set {path}: expected a value like {known or 'those of --regime'}, got {value}")
        if scope in ("", branch):
            settings[key] = parsed
    return settings


def complete_passes(settings: dict[str, Any], num_cases: float) -> dict[str, Any]:
    """Settings with iterations where they say null: an epoch is one pass over the training patches (paper sec. 4.1).

    Args:
        settings: Of a branch.
        num_cases: Training cases of a fold, the mean over folds; VOI crops for small & hard.

    Raises:
        ValueError: If ``patches_per_volume`` is null, too.
    """
    alpha = settings["search_alpha_share"]
    epochs = {
        "iterations_per_epoch": (num_cases, settings["batch_size"]),
        "search_iterations_per_epoch": (num_cases * (1 - alpha), settings["search_batch_size"]),
    }
    asked = [key for key in epochs if settings[key] is None]
    if asked and settings["patches_per_volume"] is None:
        raise ValueError(
            f"{asked[0]}=null: expected patches_per_volume beside it (paper: 70), as an epoch then is one pass over "
            "that many patches of each case, got null"
        )
    passes = {key: math.ceil(epochs[key][0] * settings["patches_per_volume"] / epochs[key][1]) for key in asked}
    return settings | passes


def _is_alike(value: Any, example: Any) -> bool:
    """Whether a value is of an example's kind: whole numbers and lists of a length where the example is one."""
    if isinstance(example, list):
        same_length = isinstance(value, list) and len(value) == len(example)
        if example and isinstance(example[0], str):
            same_length = isinstance(value, list) and bool(value)  # names of some of the branches
        return same_length and all(_is_alike(item, example[0]) for item in value)
    if isinstance(example, bool) or not isinstance(example, int | float):
        return type(value) is type(example)
    return isinstance(value, int if isinstance(example, int) else int | float) and not isinstance(value, bool)


def _is_in_range(value: Any, key: str) -> bool:
    """Whether a name is known; numbers finite, positive or, where that says "none", 0, and shares at most 1."""
    if key in NAMES:
        return value in NAMES[key]
    if key == "side_output_weights" and not any(value):
        return False
    numbers = [number for number in (value if isinstance(value, list) else [value]) if isinstance(number, int | float)]
    most = 1 if key.startswith("p_") or key in SHARES else sys.float_info.max
    return all(0 <= number <= most and (number > 0 or key.startswith("p_") or key in MAY_BE_0) for number in numbers)
