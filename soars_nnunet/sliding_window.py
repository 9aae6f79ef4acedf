"""Sliding-window inference with a step of its own for each axis, accumulated in float32.

Tile positions, padding and Gaussian weights are nnU-Net's; its predictor knows one step for all
axes and accumulates in half precision, which loses the corners of the volume to underflow.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window
from torch import nn

GAUSSIAN_SCALE = 10
"""nnU-Net's scale of the weights; it cancels out."""


def tiles(shape: Sequence[int], patch: Sequence[int], steps: Sequence[float]) -> Iterator[tuple[slice, ...]]:
    """Boxes that cover a volume evenly.

    Args:
        shape: Volume (Z, Y, X), nowhere smaller than the patch.
        patch: Tile (Z, Y, X).
        steps: Largest step of each axis as a fraction of the patch.

    Yields:
        Slices (Z, Y, X).
    """
    starts = [
        compute_steps_for_sliding_window((extent,), (width,), step)[0]
        for extent, width, step in zip(shape, patch, steps, strict=True)
    ]
    for corner in itertools.product(*starts):
        yield tuple(slice(start, start + width) for start, width in zip(corner, patch, strict=True))


@torch.inference_mode()
def sliding_window(
    network: nn.Module,
    data: torch.Tensor,
    num_outputs: int,
    patch: Sequence[int],
    steps: Sequence[float],
    device: torch.device,
) -> torch.Tensor:
    """Network outputs of a whole volume: the tiles' outputs, averaged with Gaussian weights.

    Args:
        network: (1, C, *patch) to (1, num_outputs, *patch); in evaluation mode, on ``device``.
        data: (C, Z, Y, X); zero-padded where it is smaller than the patch.
        num_outputs: Channels of the output.
        patch: Tile (Z, Y, X).
        steps: Largest step of each axis as a fraction of the patch, 0 < step <= 1.
        device: Where the network runs and the result is gathered; autocast on CUDA, as nnU-Net.

    Returns:
        (num_outputs, Z, Y, X) float32 on ``device``.

    Raises:
        ValueError: If a step is not in (0, 1].
    """
    if len(steps) != len(patch) or not all(0 < step <= 1 for step in steps):
        raise ValueError(f"step size: expected {len(patch)} fractions of the patch in (0, 1], got {list(steps)}")
    padded, inside = pad_nd_image(data.to(device), patch, "constant", {"value": 0}, True, None)
    weights = compute_gaussian(tuple(patch), 1 / 8, GAUSSIAN_SCALE, torch.float32, device)
    total = torch.zeros((num_outputs, *padded.shape[1:]), device=device)
    weight = torch.zeros(padded.shape[1:], device=device)
    for box in tiles(padded.shape[1:], patch, steps):
        with torch.autocast(device.type, enabled=device.type == "cuda"):
            output = network(padded[(slice(None), *box)][None])[0]
        total[(slice(None), *box)] += output.float() * weights
        weight[box] += weights
    return (total / weight)[(slice(None), *inside[1:])]
