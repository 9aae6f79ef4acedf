"""Case names: crops of a patient and target, and patients in case names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

FURTHER_CROP = re.compile(r"-jitter\d+$")
"""Ending of further crops of the same target for training alone, which are recognised but not supported."""


def crop_case(case: str, target: str) -> str:
    """Case name of a small & hard crop."""
    return f"{case}__{target}"


def source_case(crop: str) -> str:
    """Case that a small & hard crop was cut from; a name that is no crop's is returned as it is."""
    return crop.rpartition("__")[0] or crop


def is_further_crop(crop: str) -> bool:
    """Whether the name of a small & hard crop is that of a further one of its target."""
    return FURTHER_CROP.search(crop) is not None


def patient_of(case: str, pattern: str | None) -> str | None:
    """Patient in a case name: the pattern's first group, the whole name without a pattern, None without a match."""
    if not pattern:
        return case
    match = re.search(pattern, case)
    if match is None or not match.groups():
        return None
    return match.group(1)


def name_hashes(names: Iterable[str]) -> list[str]:
    """Salt-free hashes of case names, sorted: they travel with a model in place of the names themselves."""
    return sorted(hashlib.sha256(name.encode()).hexdigest()[:16] for name in names)
