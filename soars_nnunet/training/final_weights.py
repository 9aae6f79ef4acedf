"""What a finished training records of its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from soars_nnunet.cascade.manifest import record_weights
from soars_nnunet.cascade.record import CHECKPOINT


def record_final(model: Path, fold: int | str, say: Callable[[str], None]) -> None:
    """Record the hash of a fold's final checkpoint in the manifests that name the model folder.

    Args:
        model: Folder of the trained branch.
        fold: Which was trained; nothing is recorded of ``all``, nor where there is no final checkpoint.
        say: Receives a line for each manifest.
    """
    if not isinstance(fold, int) or not (model / f"fold_{fold}" / CHECKPOINT).is_file():
        return
    for manifest in record_weights(model, fold):
        say(f"Recorded the hash of fold {fold}'s weights in {manifest}")
