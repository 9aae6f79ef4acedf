"""nnU-Net's folder of a trained branch: its folds and their weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from soars_nnunet.cascade.record import CHECKPOINT
from soars_nnunet.cascade.storage import file_hash
from soars_nnunet.cascade.trained import trained_folds
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.checkpoint import load_checkpoint
from soars_nnunet.networks.phnn import PHNN


def choose_folds(folder: Path, folds: Sequence[int] | None) -> list[int]:
    """Folds of a model.

    Args:
        folder: Of the model.
        folds: Which are asked for; None for all that are trained.

    Raises:
        MissingArtifactError: If one is not trained, or none is.
    """
    available = trained_folds(folder)
    if not available:
        raise MissingArtifactError(
            f"{folder}: expected fold_*/{CHECKPOINT}, found no trained fold; train it or choose another model"
        )
    chosen = available if folds is None else list(folds)
    missing = sorted(set(chosen) - set(available))
    if missing or not chosen:
        raise MissingArtifactError(f"{folder.name}: fold(s) {missing or chosen} are not trained, only {available}")
    return chosen


def checkpoint_hashes(folder: Path, folds: Sequence[int]) -> list[str]:
    """Hashes of the folds' weights."""
    return [file_hash(folder / f"fold_{fold}" / CHECKPOINT) for fold in folds]


def load_weights(folder: Path, fold: int, network: PHNN, device: torch.device) -> PHNN:
    """Give a network the weights of a fold and make it ready to run as fast as it can.

    Args:
        folder: Of the model.
        fold: A trained one.
        network: As the folder's plans say, with weights of any kind; changed.
        device: Where it is to run.

    Returns:
        The network.

    Raises:
        MissingArtifactError: If the checkpoint cannot be read, or is of another network.
    """
    weights = load_checkpoint(folder / f"fold_{fold}" / CHECKPOINT)["network_weights"]
    if _shapes(weights) != _shapes(network.state_dict()):
        raise MissingArtifactError(
            f"{folder}/fold_{fold}: expected weights of the network in plans.json, got another network's; "
            "restore the plans.json that the fold was trained with, or retrain the fold"
        )
    network.load_state_dict(weights)
    network.eval()
    network.fold_batch_norm()
    network.to(device)
    if device.type == "cpu":  # takes 0.5 to 0.8 of the time there (scripts/benchmarks/forward.py)
        network.to(memory_format=torch.channels_last_3d)
    return network


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}
