"""Anatomy that needs no training: where organs of a head and neck lie to each other (``plans/anatomy.json``)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from importlib import resources
from typing import Any

from soars_nnunet.anatomy.facts import AnatomyFacts, OrganFacts, Position
from soars_nnunet.naming.organ_names import read_name

SPREAD_MM = 25.0
"""Standard deviation of the positions over patients and ways of contouring; OpenKBP has 5 to 22 mm."""


def known_anatomy(names: Iterable[str]) -> AnatomyFacts:
    """Positions of those organs whose names the table knows, in any spelling of ``plans/organ_names.json``.

    Args:
        names: Of organs, with or without a side.

    Returns:
        By the names given; volumes are not known, and ``cases`` is 0.
    """
    organs = {}
    for name in names:
        reading = read_name(name)
        found = _positions().get(reading.organ) if reading else None
        if found:
            organs[name] = found
    return AnatomyFacts(organs)


@lru_cache(maxsize=1)
def _positions() -> dict[str, OrganFacts]:
    """Facts by TG-263 name without a side."""
    path = resources.files("soars_nnunet.plans") / "anatomy.json"
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    organs = {}
    for row in data["positions"]:
        up, back = Position(row["up_mm"], SPREAD_MM), Position(row["back_mm"], SPREAD_MM)
        organs[row["name"]] = OrganFacts(0, up, back)
    return organs
