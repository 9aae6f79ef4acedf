"""From network probabilities to one label volume, without full-size channels of all classes.

Each tier is its own softmax. ``tier_argmax`` interpolates a tier's background first and then
each organ only where it can win; it works through the image in slabs along Z and keeps one running
maximum. ``merge_tiers`` then puts the tiers together by precedence, not by comparing
probabilities of different networks.

Axes are (Z, Y, X). At 512 x 512 x 360 a tier result is 0.47 GB and the merge holds as much again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from soars_nnunet.geometry.grid import Box, Grid, Shape, box_overlap, box_slices

SLAB = 16
"""Image slices worked on at a time: temporaries stay below 100 MB at 512 x 512 (17 MB a float32 slab)."""

AxisWeights = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Lower neighbour, upper neighbour, weight of the upper one; one entry an image voxel."""


@dataclass(frozen=True)
class Candidate:
    """Labels that one network proposes for the image or for a box of it.

    Attributes:
        labels: (Z, Y, X) uint8 in final labels, 0 where nothing is proposed.
        probability: Same shape and device, float32, probability of that label; compared only between
            candidates of equal precedence.
        offset: Image voxel (Z, Y, X) of the array's first voxel; may be negative for a box that
            reaches outside the image.
    """

    labels: torch.Tensor
    probability: torch.Tensor
    offset: Shape = (0, 0, 0)

    def box(self) -> Box:
        """Image voxels (lo, hi) per axis that the arrays cover."""
        z, y, x = self.offset
        depth, height, width = self.labels.shape
        return (z, z + depth), (y, y + height), (x, x + width)


@dataclass(frozen=True)
class TierResult:
    """Argmax of one tier on the image grid.

    Attributes:
        labels: (Z, Y, X) uint8, 0 for background, else the channel of the tier's softmax.
        probability: (Z, Y, X) float32, interpolated probability of that channel; 1 outside the crop.
    """

    labels: torch.Tensor
    probability: torch.Tensor

    def to_candidate(self, final_labels: Sequence[int], offset: Shape = (0, 0, 0)) -> Candidate:
        """The result in final labels.

        Args:
            final_labels: Final label of each channel, background (0) first. Channels mapped to 0
                are dropped: a VOI proposes only the organs of its own target.
            offset: Image voxel of the result's first voxel.

        Raises:
            ValueError: If a channel has no final label or a label is not in 0..255.
        """
        lookup = np.asarray(final_labels)
        highest = int(self.labels.max()) if self.labels.numel() else 0
        if lookup.ndim != 1 or len(lookup) <= highest or lookup[0] != 0 or lookup.min() < 0 or lookup.max() > 255:
            raise ValueError(
                f"expected a final label of 0..255 for each of the channels 0..{highest}, background 0 first, "
                f"got {list(final_labels)}"
            )
        table = torch.from_numpy(lookup.astype(np.uint8)).to(self.labels.device)
        labels = torch.empty_like(self.labels)
        for start in range(0, len(labels), SLAB):  # indices take 4 bytes
            labels[start : start + SLAB] = _look_up(table, self.labels[start : start + SLAB])
        return Candidate(labels, self.probability, offset)


def interpolate_box(volume: torch.Tensor | np.ndarray, grid: Grid, box: Box) -> torch.Tensor:
    """Linear interpolation of a network volume at the image voxels of a box.

    Args:
        volume: (z, y, x) on the network grid, any floating dtype.
        grid: Where the network grid lies.
        box: Image voxels (lo, hi) per axis, inside ``grid.crop``.

    Returns:
        float32 of the box's shape on the volume's device: that part of
        ``F.interpolate(volume, grid.crop_shape, mode="trilinear", align_corners=False)``.
        Empty for an empty box.

    Raises:
        ValueError: If the volume is not on the grid or the box leaves the crop.
    """
    data = _as_tensor(volume)
    if tuple(data.shape) != tuple(grid.shape):
        raise ValueError(f"expected a volume of the network shape {grid.shape}, got {tuple(data.shape)}")
    return _interpolate(data, _box_weights(grid, box, data.device))


def tier_argmax(probabilities: torch.Tensor | np.ndarray, grid: Grid) -> TierResult:
    """Argmax of a tier's interpolated probabilities on the image grid.

    Equal to the argmax over ``F.interpolate`` of all channels: interpolation weights are not
    negative, so an organ can exceed the background at an image voxel only if it does at one of the
    voxel's neighbours on the network grid. Ties go to the lower channel.

    Args:
        probabilities: (1 + C, z, y, x) softmax on the network grid, background first; floating.
        grid: Where the network grid lies.

    Returns:
        Labels and winning probabilities of the whole image, on the device of the probabilities; background outside
        the crop. All background for C = 0.

    Raises:
        ValueError: If the shape does not fit the grid or C exceeds 255.
    """
    data = _as_tensor(probabilities)
    if data.ndim != 4 or tuple(data.shape[1:]) != tuple(grid.shape) or not 1 <= len(data) <= 256:
        raise ValueError(f"expected probabilities (1 + C, {grid.shape}) with C <= 255, got {tuple(data.shape)}")
    labels = torch.zeros(grid.image_shape, dtype=torch.uint8, device=data.device)
    probability = torch.ones(grid.image_shape, device=data.device)
    inside = box_slices(grid.crop)
    weights = _box_weights(grid, grid.crop, data.device)
    shadows = [_shadows(data[channel] > data[0]) for channel in range(1, len(data))]
    for start in range(0, grid.crop_shape[0], SLAB):
        slab = slice(start, start + SLAB)
        slab_weights = (_cut(weights[0], slab), weights[1], weights[2])
        best, winner = _slab_argmax(data, slab_weights, shadows)
        labels[inside][slab] = winner
        probability[inside][slab] = best
    return TierResult(labels, probability)


def merge_tiers(
    image_shape: Sequence[int],
    candidates: Iterable[Candidate],
    precedence: np.ndarray,
    device: torch.device | str = "cpu",
) -> torch.Tensor:
    """One label volume from the candidates of all tiers and VOIs.

    At each voxel the candidate whose label has the highest precedence wins; at equal precedence
    the higher probability; still equal, the earlier candidate. Label 0 proposes nothing.

    Args:
        image_shape: (Z, Y, X).
        candidates: Any iterable; a generator lets each candidate be freed before the next is made.
        precedence: (number of labels + 1,), precedence of each final label; entry 0 is not used.
        device: Where to merge, and of the result.

    Returns:
        (Z, Y, X) uint8 in final labels; zeros without candidates.

    Raises:
        ValueError: If a candidate's arrays differ in shape or hold a label without precedence.
    """
    rank = torch.from_numpy(_ranks(precedence)).to(device)
    merged = torch.zeros(tuple(image_shape), dtype=torch.uint8, device=device)
    probability = torch.zeros(tuple(image_shape), device=device)
    for candidate in candidates:
        _validate_candidate(candidate, len(rank))
        on_image, on_box = box_overlap(candidate.box(), image_shape)
        old, old_p = merged[on_image], probability[on_image]
        new, new_p = candidate.labels[on_box], candidate.probability[on_box]
        for start in range(0, len(new), SLAB):
            slab = slice(start, start + SLAB)
            _merge_into(old[slab], old_p[slab], new[slab].to(device), new_p[slab].to(device), rank=rank)
    return merged


def _merge_into(
    old: torch.Tensor, old_p: torch.Tensor, new: torch.Tensor, new_p: torch.Tensor, *, rank: torch.Tensor
) -> None:
    """Let ``new`` overwrite ``old`` in place wherever it wins."""
    if not new.any():
        return
    new_rank, old_rank = _look_up(rank, new), _look_up(rank, old)
    wins = new_p > old_p
    wins &= new_rank == old_rank
    wins |= new_rank > old_rank
    wins &= new > 0
    old.copy_(torch.where(wins, new, old))
    old_p.copy_(torch.where(wins, new_p, old_p))


def _look_up(table: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Entries of a one-dimensional table, in the shape of the indices."""
    return table.index_select(0, indices.flatten().int()).view(indices.shape)


def _ranks(precedence: np.ndarray) -> np.ndarray:
    """Precedence as dense uint8 ranks from 1 up, 0 for the background."""
    values = np.asarray(precedence)
    if values.ndim != 1 or not 1 <= len(values) <= 256:
        raise ValueError(f"expected a precedence for each label 0..255 at most, got an array of shape {values.shape}")
    rank = np.zeros(len(values), dtype=np.uint8)
    if len(values) > 1:
        rank[1:] = np.unique(values[1:], return_inverse=True)[1].reshape(-1) + 1
    return rank


def _validate_candidate(candidate: Candidate, n_labels: int) -> None:
    labels, probability = candidate.labels, candidate.probability
    if labels.dtype != torch.uint8 or labels.ndim != 3 or labels.shape != probability.shape:
        raise ValueError(
            f"expected uint8 labels (Z, Y, X) and probabilities of one shape, "
            f"got {labels.dtype} {tuple(labels.shape)} and {tuple(probability.shape)}"
        )
    highest = int(labels.max()) if labels.numel() else 0
    if highest >= n_labels:
        raise ValueError(f"expected labels up to {n_labels - 1}, which have a precedence, got label {highest}")


def _slab_argmax(
    data: torch.Tensor, weights: tuple[AxisWeights, ...], shadows: list[tuple[np.ndarray, np.ndarray]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Running maximum over the channels in one slab; returns (probability, uint8 channel)."""
    best = _interpolate(data[0], weights)
    winner = torch.zeros(best.shape, dtype=torch.uint8, device=best.device)
    net_z = slice(int(weights[0][0][0]), int(weights[0][1][-1]) + 1)
    for channel, (rows, columns) in enumerate(shadows, start=1):
        y = _reached(rows[net_z].any(axis=0), weights[1])
        x = _reached(columns[net_z].any(axis=0), weights[2])
        if y.stop <= y.start or x.stop <= x.start:
            continue
        organ = _interpolate(data[channel], (weights[0], _cut(weights[1], y), _cut(weights[2], x)))
        best_box = best[:, y, x]
        winner[:, y, x].masked_fill_(organ > best_box, channel)
        torch.maximum(best_box, organ, out=best_box)
    return best, winner


def _shadows(mask: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Projections of a (z, y, x) mask: (z, y) along X and (z, x) along Y."""
    return mask.any(dim=2).cpu().numpy(), mask.any(dim=1).cpu().numpy()


def _reached(hit: ArrayLike, weights: AxisWeights) -> slice:
    """Image voxels with an interpolation neighbour in the span of the network voxels ``hit``."""
    found = np.flatnonzero(hit)
    if not len(found):
        return slice(0, 0)
    lower, upper = weights[0].cpu().numpy(), weights[1].cpu().numpy()
    return slice(int(np.searchsorted(upper, found[0])), int(np.searchsorted(lower, found[-1], side="right")))


def _box_weights(grid: Grid, box: Box, device: torch.device) -> tuple[AxisWeights, ...]:
    weights = []
    for axis, (lo, hi) in enumerate(box):
        i0, i1, w1 = grid.axis_weights(axis, lo, hi)
        on_device = (torch.from_numpy(i0).to(device), torch.from_numpy(i1).to(device), torch.from_numpy(w1).to(device))
        weights.append(on_device)
    return tuple(weights)


def _cut(weights: AxisWeights, part: slice) -> AxisWeights:
    i0, i1, w1 = weights
    return i0[part], i1[part], w1[part]


def _interpolate(volume: torch.Tensor, weights: tuple[AxisWeights, ...]) -> torch.Tensor:
    """Separable linear interpolation of a (z, y, x) volume at the image voxels of the weights.

    Only the network voxels in use are read. The order X, Y, Z makes the largest array last where
    slices are interpolated; it is fixed, so that rounding does not depend on the box.
    """
    sizes = [len(axis_weights[0]) for axis_weights in weights]
    if 0 in sizes:
        return torch.zeros(sizes, dtype=torch.float32, device=volume.device)
    used = tuple(slice(int(i0[0]), int(i1[-1]) + 1) for i0, i1, _ in weights)
    out = volume[used].to(torch.float32, copy=True)
    for axis in (2, 1, 0):
        i0, i1, w1 = weights[axis]
        if sizes[axis] == out.shape[axis] and not bool(w1.any()):
            continue
        upper = out.index_select(axis, i1 - used[axis].start)
        out = out.index_select(axis, i0 - used[axis].start)
        along_axis = [1, 1, 1]
        along_axis[axis] = -1
        out.lerp_(upper, w1.view(along_axis))
    return out


def _as_tensor(array: torch.Tensor | np.ndarray) -> torch.Tensor:
    tensor = array if isinstance(array, torch.Tensor) else torch.from_numpy(np.require(array, requirements=["C", "W"]))
    if not tensor.is_floating_point():
        raise ValueError(f"expected a floating dtype, got {tensor.dtype}")
    return tensor.detach()
