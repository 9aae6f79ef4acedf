"""``plans/regimes.json`` as it is written."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def regimes() -> dict[str, dict[str, Any]]:
    """All regimes.

    ``all`` holds the common values, a branch's key and ``from_bundle`` (a start from a bundle) what differs.
    """
    return json.loads((resources.files("soars_nnunet.plans") / "regimes.json").read_text(encoding="utf-8"))
