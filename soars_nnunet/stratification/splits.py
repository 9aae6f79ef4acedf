"""The patient-level split."""

from __future__ import annotations

import re
from collections.abc import Sequence

from soars_nnunet.errors import InputError
from soars_nnunet.schemas.patterns import SIMPLER, pattern_problem
from soars_nnunet.schemas.printable import printable

CROSS_VALIDATION_SEED = 12345
"""nnU-Net's own seed for its five-fold split."""


def split_patients(cases: Sequence[str], num_folds: int, pattern: str | None = None) -> list[dict[str, list[str]]]:
    """nnU-Net splits in which no patient is on both sides of a fold.

    Args:
        cases: Names of the training cases.
        num_folds: How many folds; each patient is validated in one.
        pattern: Regular expression whose first group is the patient in a case name; by default every case is a
            patient of its own.

    Returns:
        A fold: ``{"train": [case, ...], "val": [case, ...]}``, sorted.

    Raises:
        InputError: If there are fewer patients than folds, or the pattern misses a case.
    """
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    patients = _cases_by_patient(cases, pattern)
    if not 2 <= num_folds <= len(patients):
        raise InputError(f"expected 2 to {len(patients)} folds (one patient each at least), got {num_folds}")
    splits = []
    for of_patients in generate_crossval_split(sorted(patients), seed=CROSS_VALIDATION_SEED, n_splits=num_folds):
        split = {}
        for side in ("train", "val"):
            chosen: list[str] = []
            for patient in of_patients[side]:
                chosen += patients[patient]
            split[side] = sorted(chosen)
        splits.append(split)
    return splits


def _cases_by_patient(cases: Sequence[str], pattern: str | None) -> dict[str, list[str]]:
    try:
        compiled = re.compile(pattern or "(.*)")
    except re.error as error:
        raise InputError(
            f"patient pattern '{pattern}' is no regular expression ({error}); it needs one group"
        ) from error
    problem = pattern_problem(pattern, tuple(cases)) if pattern else None
    if problem:
        raise InputError(f"patient pattern '{printable(pattern or '')}' {problem}; {SIMPLER}")
    patients: dict[str, list[str]] = {}
    for case in cases:
        match = compiled.search(case)
        if match is None or not match.groups() or match.group(1) is None:
            raise InputError(f"patient pattern '{pattern}' finds no group in case '{case}'; it needs one group")
        patients.setdefault(match.group(1), []).append(case)
    return patients
