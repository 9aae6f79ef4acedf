"""The patient-level split."""

from __future__ import annotations

import re

from soars_nnunet.errors import InputError

CROSS_VALIDATION_SEED = 12345
"""nnU-Net's own seed for its five-fold split."""


def split_patients(cases: list[str], num_folds: int, pattern: str | None = None) -> list[dict[str, list[str]]]:
    """nnU-Net splits in which no patient is on both sides of a fold.

    Raises:
        ValueError: If there are fewer patients than folds, or the pattern misses a case.
    """
    from nnunetv2.utilities.crossval_split import generate_crossval_split

    try:
        compiled = re.compile(pattern or "(.*)")
    except re.error as error:
        raise InputError(
            f"patient pattern '{pattern}' is no regular expression ({error}); it needs one group"
        ) from error
    patients: dict[str, list[str]] = {}
    for case in cases:
        match = compiled.search(case)
        if match is None or not match.groups() or match.group(1) is None:
            raise InputError(f"patient pattern '{pattern}' finds no group in case '{case}'; it needs one group")
        patients.setdefault(match.group(1), []).append(case)
    if not 2 <= num_folds <= len(patients):
        raise InputError(f"expected 2 to {len(patients)} folds (one patient each at least), got {num_folds}")
    splits = generate_crossval_split(sorted(patients), seed=CROSS_VALIDATION_SEED, n_splits=num_folds)
    return [
        {side: sorted(c for p in split[side] for c in patients[p]) for side in ("train", "val")} for split in splits
    ]
