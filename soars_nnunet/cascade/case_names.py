"""Case names: crops of a patient and target, and patients in case names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

JITTERED = "-jitter"


def crop_case(case: str, target: str) -> str:
    """Case name of a small & hard crop."""
    return f"{case}__{target}"


def jittered_crop(crop: str, index: int) -> str:
    """Case name of a further crop of the same target, for training alone."""
    return f"{crop}{JITTERED}{index}"


def is_jittered(case: str) -> bool:
    """Whether a case is such a further crop."""
    return re.search(rf"{JITTERED}\d+$", case) is not None


def source_case(crop: str) -> str:
    """Case that a small & hard crop was cut from."""
    return crop.rpartition("__")[0] or crop


def patient_of(case: str, pattern: str | None) -> str | None:
    """Patient in a case name: the pattern's first group, the whole name without a pattern, None without a match."""
    if not pattern:
        return case
    match = re.search(pattern, case)
    return match.group(1) if match and match.groups() else None


def name_hashes(names: Iterable[str]) -> list[str]:
    """Salt-free hashes of case names: they travel with a model in place of the names themselves."""
    return sorted(hashlib.sha256(name.encode()).hexdigest()[:16] for name in names)
