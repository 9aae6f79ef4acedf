"""The user's own values: ``--set KEY=VALUE`` and ``--set BRANCH.KEY=VALUE``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from soars_nnunet.branches import BRANCHES
from soars_nnunet.errors import InputError, did_you_mean, listed
from soars_nnunet.json_text import JsonTextError, in_words, parse_json_text
from soars_nnunet.schemas.printable import printable
from soars_nnunet.settings.branch_settings import BranchSettings, to_tuples
from soars_nnunet.settings.regime_settings import OF_FINE_TUNING, RegimeSettings
from soars_nnunet.settings.rule import Rule, rules
from soars_nnunet.settings.table import regimes

LONGEST = 100
"""Signs of a value that a message shows."""

REGIME_RULES = dict(rules(RegimeSettings))
"""What a regime names, by key."""


@dataclass(frozen=True)
class Override:
    """One value of the user.

    Attributes:
        path: As the user wrote it, in front of the equals sign.
        scope: Branch; empty for every branch.
        key: Setting.
        text: As the user wrote it, behind the equals sign.
    """

    path: str
    scope: str
    key: str
    text: str


def override_settings(
    settings: BranchSettings, overrides: Iterable[str], keys: Sequence[str] | None = None
) -> BranchSettings:
    """Settings with the user's own values.

    Args:
        settings: Of a branch.
        overrides: ``KEY=VALUE`` for every branch or ``BRANCH.KEY=VALUE`` for one; values are JSON.
        keys: What may be named; None for all that a regime names.

    Raises:
        InputError: On unknown keys, values that are not JSON, or that a setting does not take; all are named at once.
    """
    known = regime_keys(settings.branch) if keys is None else keys
    changes = {}
    faults = []
    for text in overrides:
        try:
            override = _parse(text, settings.branch, known)
            value = _value(override, REGIME_RULES[override.key])
        except InputError as error:
            faults.append(str(error))
            continue
        if override.scope in ("", settings.branch):
            changes[override.key] = to_tuples(value)
    if faults:
        raise InputError(listed(faults))
    return replace(settings, **changes)


def named_settings(overrides: Iterable[str], branch: str) -> set[str]:
    """Keys that the user's values name for a branch, whatever the values.

    Args:
        overrides: See ``override_settings``, which has taken them.
        branch: Key of the branch.
    """
    named = set()
    for text in overrides:
        override = _parse(text, branch, regime_keys(branch))
        if override.scope in ("", branch):
            named.add(override.key)
    return named


def regime_keys(branch: str) -> list[str]:
    """What a regime names for a branch."""
    if branch == "fine_tune":
        return list(REGIME_RULES)
    return [key for key in REGIME_RULES if key not in OF_FINE_TUNING]


def _parse(text: str, branch: str, keys: Sequence[str]) -> Override:
    path, equals, value = text.partition("=")
    scope, _, key = path.rpartition(".")
    scopes = _scopes(branch)
    if not equals or not key:
        raise InputError(f"--set: expected KEY=VALUE or BRANCH.KEY=VALUE, as batch_size=2, got '{text}'")
    if scope not in ("", *scopes):
        question = did_you_mean(scope, scopes)
        raise InputError(f"--set {text}: expected a branch of {', '.join(scopes)}, got '{scope}'{question}")
    if key not in keys:
        question = did_you_mean(key, keys) or f"; there are {', '.join(keys)}"
        raise InputError(f"--set {text}: expected the name of a setting, got '{key}'{question}")
    return Override(path=path, scope=scope, key=key, text=value)


def _scopes(branch: str) -> list[str]:
    """Branches that can be named beside one; fine-tuning is planned by itself."""
    if branch == "fine_tune":
        return ["fine_tune"]
    return [key for key in BRANCHES if key != "fine_tune"]


def _value(override: Override, rule: Rule) -> Any:
    shown = printable(override.text, LONGEST)
    try:
        value = parse_json_text(override.text.encode("utf-8", "surrogatepass"))
    except JsonTextError as error:
        raise InputError(
            f"--set {override.path}: expected a JSON value such as 50 or [48,48,48], got '{shown}'; a text is "
            f"in double quotes, and for the shell in single ones around all: '{override.path}=\"RAdam\"'"
        ) from error
    if not rule.takes(value):
        examples = rule.values.choices or regime_values(override.key)
        known = " or ".join(dict.fromkeys(map(json.dumps, examples)))
        got = in_words(value) if isinstance(value, str) else shown
        expected = f"expected a value like {known or 'those of --regime'}"
        raise InputError(f"--set {override.path}: {expected}, got {got}; it takes: {rule.values}")
    return value


def regime_values(key: str) -> list[Any]:
    """Values of a setting in all regimes and branches, in the order of the file, as often as they stand there."""
    found = []
    for regime in regimes().values():
        for part in regime.values():
            if isinstance(part, dict) and key in part:
                found.append(part[key])
    return found
