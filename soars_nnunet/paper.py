"""Numbers that the paper states beside its hyper-parameters, by name; the data is ``plans/paper.json``.

Hyper-parameters are those of regime ``paper`` in ``plans/regimes.json``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class PaperValue:
    """What the paper says.

    Attributes:
        value: A number, or a tuple of them.
        unit: In words; empty for a ratio.
        section: Where in the paper.
        meaning: What the value is.
    """

    value: Any
    unit: str
    section: str
    meaning: str


@cache
def paper_values() -> dict[str, PaperValue]:
    """All that ``plans/paper.json`` holds, by name."""
    text = (resources.files("soars_nnunet.plans") / "paper.json").read_text(encoding="utf-8")
    found = {}
    for name, entry in json.loads(text).items():
        if isinstance(entry, str):  # a remark
            continue
        value = entry["value"]
        found[name] = PaperValue(
            value=tuple(value) if isinstance(value, list) else value,
            unit=entry["unit"],
            section=entry["section"],
            meaning=entry["meaning"],
        )
    return found


def stated(name: str) -> Any:
    """A number of the paper.

    Args:
        name: Key in ``plans/paper.json``.

    Raises:
        ValueError: If there is no such key.
    """
    known = paper_values()
    if name not in known:
        raise ValueError(f"expected one of {', '.join(known)}, got '{name}'")
    return known[name].value
