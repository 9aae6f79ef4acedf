"""Sliding-window inference with a step of its own for each axis, accumulated in float32.

Tile positions, padding and Gaussian weights are nnU-Net's; its predictor knows one step for all
axes and accumulates in half precision, which loses the corners of the volume to underflow.

Axes: C channels of the input, K outputs, then (Z, Y, X). A box is a slice for each of (Z, Y, X).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window
from torch import nn

from soars_nnunet.prediction.tiling import Tile, tiles_at_a_time

GAUSSIAN_SCALE = 10
"""nnU-Net's scale of the weights; it cancels out."""
GAUSSIAN_SIGMA = 1 / 8
"""nnU-Net's sigma of the weights, in tiles."""
BACKGROUND_LOGIT = 20.0
"""Output 0 where nothing was asked for: its softmax is 1 to 2e-9 an organ."""


def in_all_channels(box: tuple[slice, ...]) -> tuple[slice, ...]:
    """Index of a box (Z, Y, X) in an array (C, Z, Y, X)."""
    return (slice(None), *box)


def tiles(shape: Sequence[int], tile: Tile) -> Iterator[tuple[slice, ...]]:
    """Boxes that cover a volume evenly.

    Args:
        shape: Volume (Z, Y, X), nowhere smaller than the tile.
        tile: Its shape, and the largest step of each axis.

    Yields:
        Slices (Z, Y, X).
    """
    starts = []
    for extent, width, step in zip(shape, tile.shape, tile.steps, strict=True):
        (along_axis,) = compute_steps_for_sliding_window((extent,), (width,), step)
        starts.append(along_axis)
    for corner in itertools.product(*starts):
        yield tuple(slice(start, start + width) for start, width in zip(corner, tile.shape, strict=True))


@torch.inference_mode()
def sliding_windows(
    network: nn.Module,
    volumes: Sequence[torch.Tensor],
    num_outputs: int,
    tile: Tile,
    *,
    device: torch.device,
    wanted: Sequence[torch.Tensor | None] | None = None,
    results: torch.device | None = None,
) -> list[torch.Tensor]:
    """Network outputs of whole volumes: the tiles' outputs, averaged with Gaussian weights.

    Tiles of one volume and the next, as of VOIs that are hardly larger than one, go through the network together.

    Args:
        network: (B, C, *tile) to (B, num_outputs, *tile); in evaluation mode, on ``device``.
        volumes: (C, Z, Y, X) each; zero-padded where smaller than the tile.
        num_outputs: Channels of the output.
        tile: Its shape, and the largest step of each axis.
        device: Where the network runs, with autocast on CUDA, as nnU-Net.
        wanted: By volume (Z, Y, X) bool, voxels whose output is needed; a tile without any is not run. None for all.
        results: Where the tiles' outputs are gathered; None for the network's device.

    Returns:
        (num_outputs, Z, Y, X) float32 by volume; where not wanted, ``BACKGROUND_LOGIT`` in output 0, else 0. Empty for
        no volume.

    Raises:
        ValueError: If a step is not in (0, 1].
    """
    validate_steps(tile.steps)
    results = device if results is None else results
    masks = [None] * len(volumes) if wanted is None else wanted
    weights = compute_gaussian(tuple(tile.shape), GAUSSIAN_SIGMA, GAUSSIAN_SCALE, torch.float32, results)
    sums = [_WeightedSum.of(data, num_outputs, tile, results) for data in volumes]
    places: list[_Place] = []
    for volume, mask in zip(sums, masks, strict=True):
        places += _places(volume, tile, mask)
    count = tiles_at_a_time(tile.shape)
    for start in range(0, len(places), count):
        batch = places[start : start + count]
        outputs = _run(network, batch, device)
        for place, output in zip(batch, outputs, strict=True):
            place.volume.add(place.box, output.float().to(results), weights)
    return [volume.mean(mask) for volume, mask in zip(sums, masks, strict=True)]


@dataclass(frozen=True)
class _WeightedSum:
    """A volume, padded to a tile's shape at least, and the outputs of the tiles that ran so far.

    Attributes:
        data: (C, Z, Y, X), padded.
        inside: Box of what is not padding.
        total: (K, Z, Y, X) sum of weighted outputs.
        weight: (Z, Y, X) sum of the weights.
    """

    data: torch.Tensor
    inside: tuple[slice, ...]
    total: torch.Tensor
    weight: torch.Tensor

    @classmethod
    def of(cls, data: torch.Tensor, num_outputs: int, tile: Tile, results: torch.device) -> _WeightedSum:
        """Nothing yet of a volume (C, Z, Y, X)."""
        padded, inside = pad_nd_image(data, tile.shape, "constant", {"value": 0}, True, None)
        shape = tuple(padded.shape[1:])
        return cls(
            data=padded.to(results),
            inside=tuple(inside[1:]),
            total=torch.zeros((num_outputs, *shape), device=results),
            weight=torch.zeros(shape, device=results),
        )

    def add(self, box: tuple[slice, ...], output: torch.Tensor, weights: torch.Tensor) -> None:
        """Add a tile's output (K, *tile), by weights (tile)."""
        self.total[in_all_channels(box)].addcmul_(output, weights)
        self.weight[box] += weights

    def mean(self, wanted: torch.Tensor | None) -> torch.Tensor:
        """Weighted mean (K, Z, Y, X) without the padding, background where nothing is wanted."""
        mean = self.total.div_(self.weight)[in_all_channels(self.inside)]
        if wanted is not None:
            unwanted = ~wanted.to(mean.device)
            mean.masked_fill_(unwanted, 0)
            mean[0].masked_fill_(unwanted, BACKGROUND_LOGIT)
        return mean


@dataclass(frozen=True)
class _Place:
    """A tile in a volume."""

    volume: _WeightedSum
    box: tuple[slice, ...]


def _places(volume: _WeightedSum, tile: Tile, wanted: torch.Tensor | None) -> list[_Place]:
    """All tiles of a volume in which something is wanted."""
    shape = tuple(volume.weight.shape)
    asked = None
    if wanted is not None:
        asked = torch.zeros(shape, dtype=torch.bool)  # on the CPU: one answer a tile
        asked[volume.inside] = wanted.cpu()
    places = []
    for box in tiles(shape, tile):
        if asked is None or asked[box].any():
            places.append(_Place(volume, box))
    return places


def _run(network: nn.Module, batch: Sequence[_Place], device: torch.device) -> torch.Tensor:
    """Outputs (B, K, *tile) of a network."""
    inputs = [place.volume.data[in_all_channels(place.box)] for place in batch]
    with torch.autocast(device.type, enabled=device.type == "cuda"):
        return network(torch.stack(inputs).to(device))


def background(num_outputs: int, shape: Sequence[int], device: torch.device | str = "cpu") -> torch.Tensor:
    """Outputs (num_outputs, Z, Y, X) where no network ran: ``BACKGROUND_LOGIT`` in the first one, else 0."""
    output = torch.zeros((num_outputs, *shape), device=device)
    output[0] = BACKGROUND_LOGIT
    return output


def validate_steps(steps: Sequence[float]) -> None:
    """Check the steps of a sliding window.

    Raises:
        ValueError: If they are not three fractions in (0, 1].
    """
    if not isinstance(steps, (list, tuple)) or len(steps) != 3 or not all(0 < step <= 1 for step in steps):
        raise ValueError(f"step size: expected 3 fractions of the patch in (0, 1] (Z, Y, X), got {steps}")
