"""What a finished training records of its weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.manifest import record_weights
from soars_nnunet.cascade.record import CHECKPOINT
from soars_nnunet.cascade.storage import replacing


def save_whole(save: Callable[[Any], None], path: Path, fold: int | str, say: Callable[[str], None]) -> None:
    """Write a checkpoint, whole or not at all, and record a final one.

    Args:
        save: nnU-Net's, which writes into an opened file, too.
        path: Of the checkpoint, in the folder of its fold in that of the model.
        fold: Which is trained.
        say: Receives a line for each manifest.
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        save(file)
    if path.name == CHECKPOINT:
        record_final(path.parents[1], fold, say)


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
