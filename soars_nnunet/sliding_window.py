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

from soars_nnunet.tiling import tiles_at_a_time

GAUSSIAN_SCALE = 10
"""nnU-Net's scale of the weights; it cancels out."""
BACKGROUND_LOGIT = 20.0
"""Output 0 where nothing was asked for: its softmax is 1 to 2e-9 an organ."""


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
    wanted: torch.Tensor | None = None,
    results: torch.device | None = None,
) -> torch.Tensor:
    """Network outputs of a whole volume: the tiles' outputs, averaged with Gaussian weights.

    Args:
        network: (B, C, *patch) to (B, num_outputs, *patch); in evaluation mode, on ``device``.
        data: (C, Z, Y, X); zero-padded where it is smaller than the patch.
        num_outputs: Channels of the output.
        patch: Tile (Z, Y, X).
        steps: Largest step of each axis as a fraction of the patch, 0 < step <= 1.
        device: Where the network runs, with autocast on CUDA, as nnU-Net.
        wanted: (Z, Y, X) bool, voxels whose output is needed; a tile without any is not run. None for all.
        results: Where the tiles' outputs are gathered; None for the network's device.

    Returns:
        (num_outputs, Z, Y, X) float32; where not wanted, ``BACKGROUND_LOGIT`` in output 0, else 0.

    Raises:
        ValueError: If a step is not in (0, 1].
    """
    validate_steps(steps)
    padded, inside = pad_nd_image(data, patch, "constant", {"value": 0}, True, None)
    boxes = list(tiles(padded.shape[1:], patch, steps))
    if wanted is not None:
        asked = torch.zeros(padded.shape[1:], dtype=torch.bool)  # on the CPU: one answer a tile
        asked[tuple(inside[1:])] = wanted.cpu()
        boxes = [box for box in boxes if asked[box].any()]
    total = _gather(network, padded, num_outputs, patch, boxes, device, device if results is None else results)
    total = total[(slice(None), *inside[1:])]
    if wanted is not None:
        unwanted = ~wanted.to(total.device)
        total.masked_fill_(unwanted, 0)
        total[0].masked_fill_(unwanted, BACKGROUND_LOGIT)
    return total


def background(num_outputs: int, shape: Sequence[int], device: torch.device | str = "cpu") -> torch.Tensor:
    """Outputs (num_outputs, Z, Y, X) where no network ran: ``BACKGROUND_LOGIT`` in the first one, else 0."""
    output = torch.zeros(num_outputs, *shape, device=device)
    output[0] = BACKGROUND_LOGIT
    return output


def validate_steps(steps: Sequence[float]) -> None:
    """Check the steps of a sliding window.

    Raises:
        ValueError: If they are not three fractions in (0, 1].
    """
    if not isinstance(steps, (list, tuple)) or len(steps) != 3 or not all(0 < step <= 1 for step in steps):
        raise ValueError(f"step size: expected 3 fractions of the patch in (0, 1] (Z, Y, X), got {steps}")


def _gather(
    network: nn.Module,
    padded: torch.Tensor,
    num_outputs: int,
    patch: Sequence[int],
    boxes: Sequence[tuple[slice, ...]],
    device: torch.device,
    results: torch.device,
) -> torch.Tensor:
    """Weighted mean of the boxes' outputs, (num_outputs, Z, Y, X) on the device for results; NaN outside of all."""
    data = padded.to(results)
    weights = compute_gaussian(tuple(patch), 1 / 8, GAUSSIAN_SCALE, torch.float32, results)
    total = torch.zeros((num_outputs, *data.shape[1:]), device=results)
    weight = torch.zeros(data.shape[1:], device=results)
    count = tiles_at_a_time(patch)
    for start in range(0, len(boxes), count):
        batch = boxes[start : start + count]
        with torch.autocast(device.type, enabled=device.type == "cuda"):
            outputs = network(torch.stack([data[(slice(None), *box)] for box in batch]).to(device))
        for box, output in zip(batch, outputs, strict=True):
            total[(slice(None), *box)].addcmul_(output.float().to(results), weights)
            weight[box] += weights
    return total.div_(weight)
