"""Case names: crops of a patient and target, and patients in case names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

FURTHER_CROP = re.compile(r"-jitter\d+$")
"""Ending of further crops of a target, for training alone; datasets of version 0.1.0 may have some."""


def crop_case(case: str, target: str) -> str:
    """Case name of a small & hard crop."""
    return f"{case}__{target}"


def source_case(crop: str) -> str:
    """Case that a small & hard crop was cut from; a name that is no crop's is returned as it is."""
    return crop.rpartition("__")[0] or crop


def is_further_crop(crop: str) -> bool:
    """Whether the name of a small & hard crop is that of a further one of its target."""
    return FURTHER_CROP.search(crop) is not None


def without_further_crops(cases: Iterable[str]) -> list[str]:
    """The cases, in their order, without further crops of a target."""
    return [case for case in cases if not is_further_crop(case)]


def patient_of(case: str, pattern: str | None) -> str | None:
    """Patient in a case name: the pattern's first group, the whole name without a pattern, None without a match."""
    if not pattern:
        return case
    match = re.search(pattern, case)
    if match is None or not match.groups():
        return None
    return match.group(1)


def patient_hashes(cases: Iterable[str], patterns: Iterable[str | None]) -> set[str]:
    """Hashes of the patients of cases, as each pattern finds them; a case that it does not fit is a patient of its own.

    A dataset and a model that was trained elsewhere may find patients in their names by different patterns.
    """
    ways = tuple(patterns)
    patients = set()
    for case in cases:
        for pattern in ways:
            patients.add(patient_of(case, pattern) or case)
    return set(name_hashes(patients))


def name_hashes(names: Iterable[str]) -> list[str]:
    """Salt-free hashes of case names, sorted: they travel with a model in place of the names themselves."""
    return sorted(hashlib.sha256(name.encode()).hexdigest()[:16] for name in names)
