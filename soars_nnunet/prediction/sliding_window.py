"""Sliding-window inference with a step of its own for each axis, accumulated in float32.

Tile positions, padding and Gaussian weights are nnU-Net's; its predictor knows one step for all
axes and accumulates in half precision, which loses the corners of the volume to underflow.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window
from torch import nn

from soars_nnunet.prediction.tiling import tiles_at_a_time

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
def sliding_windows(
    network: nn.Module,
    volumes: Sequence[torch.Tensor],
    num_outputs: int,
    patch: Sequence[int],
    steps: Sequence[float],
    device: torch.device,
    wanted: Sequence[torch.Tensor | None] | None = None,
    results: torch.device | None = None,
) -> list[torch.Tensor]:
    """Network outputs of whole volumes: the tiles' outputs, averaged with Gaussian weights.

    Tiles of one volume and the next, as of VOIs that are hardly larger than one, go through the network together.

    Args:
        network: (B, C, *patch) to (B, num_outputs, *patch); in evaluation mode, on ``device``.
        volumes: (C, Z, Y, X) each; zero-padded where smaller than the patch.
        num_outputs: Channels of the output.
        patch: Tile (Z, Y, X).
        steps: Largest step of each axis as a fraction of the patch, 0 < step <= 1.
        device: Where the network runs, with autocast on CUDA, as nnU-Net.
        wanted: By volume (Z, Y, X) bool, voxels whose output is needed; a tile without any is not run. None for all.
        results: Where the tiles' outputs are gathered; None for the network's device.

    Returns:
        (num_outputs, Z, Y, X) float32 by volume; where not wanted, ``BACKGROUND_LOGIT`` in output 0, else 0. Empty for
        no volume.

    Raises:
        ValueError: If a step is not in (0, 1].
    """
    validate_steps(steps)
    results = device if results is None else results
    masks = [None] * len(volumes) if wanted is None else wanted
    weights = compute_gaussian(tuple(patch), 1 / 8, GAUSSIAN_SCALE, torch.float32, results)
    running = [_Running.of(data, num_outputs, patch, results) for data in volumes]
    boxes = [
        (volume, box)
        for volume, mask in zip(running, masks, strict=True)
        for box in _asked(tiles(volume.data.shape[1:], patch, steps), volume, mask)
    ]
    count = tiles_at_a_time(patch)
    for start in range(0, len(boxes), count):
        batch = boxes[start : start + count]
        with torch.autocast(device.type, enabled=device.type == "cuda"):
            outputs = network(torch.stack([volume.data[(slice(None), *box)] for volume, box in batch]).to(device))
        for (volume, box), output in zip(batch, outputs, strict=True):
            volume.total[(slice(None), *box)].addcmul_(output.float().to(results), weights)
            volume.weight[box] += weights
    return [volume.mean(mask) for volume, mask in zip(running, masks, strict=True)]


@dataclass(frozen=True)
class _Running:
    """A padded volume (C, Z, Y, X) and the weighted sums of the outputs of the tiles that ran so far."""

    data: torch.Tensor
    inside: tuple[slice, ...]
    total: torch.Tensor
    weight: torch.Tensor

    @classmethod
    def of(cls, data: torch.Tensor, num_outputs: int, patch: Sequence[int], results: torch.device) -> _Running:
        padded, inside = pad_nd_image(data, patch, "constant", {"value": 0}, True, None)
        shape = padded.shape[1:]
        total, weight = torch.zeros((num_outputs, *shape), device=results), torch.zeros(shape, device=results)
        return cls(padded.to(results), tuple(inside[1:]), total, weight)

    def mean(self, wanted: torch.Tensor | None) -> torch.Tensor:
        """Weighted mean without the padding, background where nothing is wanted."""
        mean = self.total.div_(self.weight)[(slice(None), *self.inside)]
        if wanted is not None:
            unwanted = ~wanted.to(mean.device)
            mean.masked_fill_(unwanted, 0)
            mean[0].masked_fill_(unwanted, BACKGROUND_LOGIT)
        return mean


def _asked(
    boxes: Iterable[tuple[slice, ...]], volume: _Running, wanted: torch.Tensor | None
) -> Iterable[tuple[slice, ...]]:
    """Boxes of a padded volume in which something is wanted."""
    if wanted is None:
        return boxes
    asked = torch.zeros(volume.weight.shape, dtype=torch.bool)  # on the CPU: one answer a tile
    asked[volume.inside] = wanted.cpu()
    return [box for box in boxes if asked[box].any()]


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
