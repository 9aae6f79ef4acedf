"""Training regimes: named sets of hyper-parameters in ``plans/regimes.json``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from soars_nnunet.errors import InputError, did_you_mean
from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.overrides import override_settings
from soars_nnunet.settings.table import regimes


def load_regime(name: str, branch: str, overrides: Iterable[str] = ()) -> BranchSettings:
    """Hyper-parameters of a branch under a regime.

    Args:
        name: Regime, for example ``paper`` or ``demo``.
        branch: Key in ``BRANCHES``.
        overrides: See ``override_settings``.

    Raises:
        InputError: On an unknown regime or key, a value that is not JSON, or values that do not fit together.
    """
    known = regimes()
    if name not in known:
        raise InputError(f"regime: expected one of {', '.join(known)}, got '{name}'{did_you_mean(name, known)}")
    values = {**known[name]["all"], **known[name].get(branch, {})}
    settings = BranchSettings.from_json({"regime": name, "branch": branch, **values})
    settings = override_settings(settings, overrides)
    require_fitting(settings)
    return settings


def fine_tuning_settings(own: BranchSettings) -> BranchSettings:
    """Settings of the anchors with what their regime says of the end-to-end fine-tuning."""
    of_fine_tuning = regimes()[own.regime]["fine_tune"]
    own = replace(own, start=None)  # it starts from the trained branches
    return BranchSettings.from_json({**own.to_json(), **of_fine_tuning, "branch": "fine_tune"})


def settings_from_bundle(own: BranchSettings, overrides: Iterable[str] = ()) -> BranchSettings:
    """Settings of a branch with what its regime says of a start from a bundle, where the user says nothing.

    Args:
        own: Of the branch.
        overrides: See ``override_settings``.
    """
    values = BranchSettings.from_json({**own.to_json(), **regimes()[own.regime]["from_bundle"]})
    return override_settings(values, overrides)


def require_fitting(settings: BranchSettings) -> None:
    """Check what no value says by itself.

    Args:
        settings: Of a branch, or of fine-tuning.

    Raises:
        InputError: If no loss is left, a search has no epochs, SGD has no momentum, which Nesterov's needs, or the
            factors of scaling are in reverse order.
    """
    found = []
    if not settings.dice_weight and not settings.ce_weight:
        found.append("dice_weight=0 beside ce_weight=0: expected one of them above 0")
    if not settings.search_frozen_epochs and not settings.search_joint_epochs:
        found.append("search_frozen_epochs=0 beside search_joint_epochs=0: expected one of them above 0")
    if settings.optimizer == "SGD" and not settings.beta1:
        found.append('optimizer="SGD" with beta1=0: expected a beta1, its momentum, above 0')
    low, high = settings.scaling
    if low > high:
        found.append(f"scaling={list(settings.scaling)}: expected the smallest factor in front of the largest")
    if found:
        raise InputError(f"--set {'; '.join(found)}")
