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
        examples = [values[key] for regime in regimes().values() for values in regime.values() if key in values]
        if examples and not any(_is_alike(parsed, example) for example in examples):
            known = " or ".join(dict.fromkeys(json.dumps(example) for example in examples))
            raise ValueError(f"--set {path}: expected a value like {known}, got {value}")
        if scope in ("", branch):
            settings[key] = parsed
    return settings


def _is_alike(value: Any, example: Any) -> bool:
    """Whether a value is of an example's kind; numbers are finite and not negative, whole where the example is."""
    if isinstance(example, list):
        return isinstance(value, list) and bool(value) and all(_is_alike(item, example[0]) for item in value)
    if isinstance(example, bool) or not isinstance(example, int | float):
        return type(value) is type(example)
    number = int if isinstance(example, int) else int | float
    return isinstance(value, number) and not isinstance(value, bool) and 0 <= value < float("inf")
