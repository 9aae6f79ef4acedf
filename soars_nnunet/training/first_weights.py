"""Reading the weights that a training starts from, which ``soars-plan --from-bundle`` wrote beside the plans."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from soars_nnunet.cascade.storage import file_hash
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.settings.bundle_start import BundleStart

AGAIN = "rerun soars-plan with the options of these plans"


def read_first_weights(folder: Path, start: BundleStart, fold: int) -> dict[str, torch.Tensor]:
    """First weights of a fold, on the CPU, by the network's names; nothing is unpickled.

    Args:
        folder: Of the plans.
        start: What they say of the bundle.
        fold: Fold of the dataset.

    Raises:
        MissingArtifactError: If the file is missing or another one, or the split had no such fold.
    """
    if fold >= len(start.folds):
        raise MissingArtifactError(
            f"fold {fold}: expected a fold of 0 to {len(start.folds) - 1}, for which {start.bundle} gave weights"
        )
    first = start.folds[fold]
    path = folder / first.file
    if not path.is_file():
        raise MissingArtifactError(f"expected the first weights {path}, found none; {AGAIN}")
    found = file_hash(path)
    if found != first.sha256:
        raise MissingArtifactError(
            f"{path}: expected the first weights that were planned (SHA-256 {first.sha256[:16]}...), got others "
            f"({found[:16]}...); {AGAIN}"
        )
    return load_file(path)


def describe_first_weights(start: BundleStart, fold: int) -> str:
    """For the log of a training."""
    first = start.folds[fold]
    new = f", new: {', '.join(start.added)}" if start.added else ""
    return f"First weights: bundle {start.bundle}, {start.branch}, fold {first.fold} ({first.file}){new}"
