"""A network with the weights of a fold, ready to run as fast as it can."""

from __future__ import annotations

import torch

from soars_nnunet.cascade.stored_model import StoredModel
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.checkpoint import require_sound
from soars_nnunet.networks.phnn import PHNN


def load_weights(stored: StoredModel, fold: int, network: PHNN, device: torch.device) -> PHNN:
    """Give a network the weights of a fold and make it ready to run.

    Args:
        stored: The trained branch.
        fold: One of its folds.
        network: As its plans say, with weights of any kind; changed.
        device: Where it is to run.

    Returns:
        The network.

    Raises:
        MissingArtifactError: If the weights cannot be read, are of another network, or no numbers that it can learn.
    """
    weights = stored.weights(fold)
    if _shapes(weights) != _shapes(network.state_dict()):
        raise MissingArtifactError(
            f"{stored.where}/fold_{fold}: expected weights of the network in plans.json, got another network's; "
            "restore the plans.json that the fold was trained with, or retrain the fold"
        )
    require_sound(weights, f"{stored.where}/fold_{fold}")
    network.load_state_dict(weights)
    network.eval()
    network.fold_batch_norm()
    network.to(device)
    if device.type == "cpu":  # takes 0.5 to 0.8 of the time there (scripts/benchmarks/forward.py)
        network.to(memory_format=torch.channels_last_3d)
    return network


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}
