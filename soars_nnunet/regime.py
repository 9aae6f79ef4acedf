"""Training regimes: named sets of hyper-parameters in ``plans/regimes.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from typing import Any

from soars_nnunet.artifacts import BRANCHES


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
        ValueError: On an unknown key, or a value that is not JSON.
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
        if scope in ("", branch):
            settings[key] = parsed
    return settings
