"""What a trainer refuses before it starts: folds that the split lacks, splits and data other than planned."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.record import Cascade, hash_of_splits
from soars_nnunet.cascade.source_files import require_unchanged
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import InputError, MissingArtifactError

BAD_INPUT = 2
"""Exit code, as of every command."""

NNUNET_FOLDS = 5
"""Of the split that nnU-Net makes where a dataset has none."""


@contextmanager
def refused() -> Iterator[None]:
    """Context in which what is refused ends the process with one line; nnU-Net would end in a traceback."""
    try:
        yield
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        raise SystemExit(BAD_INPUT) from error


def require_fold(dataset: Path, fold: int | str, split_sha256: str = "") -> None:
    """Check that a fold is one of the split; nnU-Net makes up a split of its own for others.

    Args:
        dataset: Preprocessed dataset folder, with ``splits_final.json`` (nnU-Net makes one of five folds without it).
        fold: Number of the fold, or ``all``.
        split_sha256: Hash of the split that the plans were made for; empty if it is not known.

    Raises:
        MissingArtifactError: If the split has no such fold, or is another than that of the plans.
    """
    if not isinstance(fold, int):
        return
    path = dataset / "splits_final.json"
    if not path.is_file() and split_sha256:
        raise MissingArtifactError(f"expected the split {path}, found none; run: soars-stratify, then soars-plan")
    splits = read_json(path) if path.is_file() else [{}] * NNUNET_FOLDS
    if not 0 <= fold < len(splits):
        known = ", ".join(str(number) for number in range(len(splits)))
        raise MissingArtifactError(
            f"fold {fold}: expected a fold of {path} ({known}), got another; train these, or stratify with more --folds"
        )
    if split_sha256 and hash_of_splits(splits) != split_sha256:
        raise MissingArtifactError(
            f"{path}: expected the split that the plans were made for, got another one; run: soars-plan"
        )


def require_source_as_stratified(dataset_json: Mapping[str, Any]) -> None:
    """Check that no CT and no label map changed since stratification, where these are on this machine.

    Args:
        dataset_json: Of a branch, which names its source dataset.

    Raises:
        MissingArtifactError: Naming the files that changed.
    """
    source = dataset_json.get("soars", {}).get("source")
    if not source:
        return
    try:
        cascade = Cascade.load(source)
    except ValueError:  # the raw data may be elsewhere: trainings need only what is preprocessed
        return
    try:
        require_unchanged(cascade, quick=True)
    except InputError:  # of some cases there are no files here
        return
