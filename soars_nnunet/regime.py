"""Training regimes: named sets of hyper-parameters in ``plans/regimes.json``."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from importlib import resources
from typing import Any

from soars_nnunet.cascade.branches import BRANCHES

SHARES = ("organ_centred_patches", "step_size")
"""Keys of numbers that are at most 1, as are the probabilities ``p_...``."""
BELOW_1 = ("search_alpha_share", "beta1", "beta2", "search_alpha_betas")
"""Keys of numbers that are less than 1."""
SEEDS = ("seed", "search_seed")
"""Keys of numbers that seed NumPy."""
MAX_SEED = 2**31 - 1
"""NumPy takes up to 2^32 - 1, trainers add fold and rank."""
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
        ValueError: On an unknown regime or key, a value that is not JSON, or values that do not fit together.
    """
    known = regimes()
    if name not in known:
        raise ValueError(f"regime: expected one of {', '.join(known)}, got '{name}'")
    settings = {"regime": name, **known[name]["all"], **known[name].get(branch, {})}
    settings = override_settings(settings, branch, overrides)
    require_fitting(settings)
    return settings


def require_fitting(settings: dict[str, Any]) -> None:
    """Check what no value says by itself.

    Args:
        settings: Of a branch, or of fine-tuning.

    Raises:
        ValueError: If no loss is left, a search has no epochs, or SGD has no momentum, which Nesterov's needs.
    """
    wrong = {
        "dice_weight=0 beside ce_weight=0: expected one of them above 0": not (
            settings["dice_weight"] or settings["ce_weight"]
        ),
        "search_frozen_epochs=0 beside search_joint_epochs=0: expected one of them above 0": not (
            settings["search_frozen_epochs"] or settings["search_joint_epochs"]
        ),
        'optimizer="SGD" with beta1=0: expected a beta1, its momentum, above 0': (
            settings["optimizer"] == "SGD" and not settings["beta1"]
        ),
    }
    found = [text for text, is_wrong in wrong.items() if is_wrong]
    if found:
        raise ValueError(f"--set {'; '.join(found)}")


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
    # fine-tuning is planned by itself
    scopes = [key for key in BRANCHES if (key == "fine_tune") == (branch == "fine_tune")]
    for override in overrides:
        path, equals, value = override.partition("=")
        scope, _, key = path.rpartition(".")
        if not equals or key not in settings or scope not in ("", *scopes):
            raise ValueError(
                f"--set: expected KEY=VALUE or BRANCH.KEY=VALUE with a branch of {', '.join(scopes)} and a key of "
                f"{', '.join(settings)}, got '{override}'"
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
    """Whether a name is known; numbers finite, positive or, where that says "none", 0, and not too large."""
    if key in NAMES:
        return value in NAMES[key]
    if key == "side_output_weights" and not any(value):
        return False
    numbers = [number for number in (value if isinstance(value, list) else [value]) if isinstance(number, int | float)]
    if key in BELOW_1 and any(number >= 1 for number in numbers):
        return False
    most = 1 if key.startswith("p_") or key in SHARES else MAX_SEED if key in SEEDS else sys.float_info.max
    return all(0 <= number <= most and (number > 0 or key.startswith("p_") or key in MAY_BE_0) for number in numbers)
