"""nnU-Net's cubic resampling of images, as one small matrix per axis, on any device.

nnU-Net resamples by ``skimage.transform.resize``, which sums every output voxel over 64 inputs in float64 on one core.
A cubic spline on a grid that is only stretched is linear and separable, so that a matrix per axis, made by the same
``resize`` from unit impulses, gives the same values by three products. So is the low pass of a fine CT, which is a part
of the same matrices. Axes are (Z, Y, X).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape, determine_do_sep_z_and_axis
from skimage.transform import resize

from soars_nnunet.geometry.grid import Box
from soars_nnunet.geometry.low_pass import low_pass_matrix, low_pass_sigmas

SLAB = 16
"""Slices worked on at a time."""
SMALLEST_WEIGHT = 1e-10
"""A cubic spline's weights die away along the whole axis; those below this are less than float32's rounding, and would
leave denormal numbers in air, with which convolutions are four times slower on some CPUs."""


@lru_cache(maxsize=256)
def resampling_matrix(size: int, new_size: int, order: int, sigma: float = 0.0) -> torch.Tensor:
    """Weights of a Gaussian, then of ``resize``, along one axis.

    Args:
        size: Voxels.
        new_size: Wanted voxels.
        order: Of the spline.
        sigma: Of the Gaussian, in voxels; 0 for none.

    Returns:
        (new_size, size) float32; the identity for equal sizes without a Gaussian.
    """
    if size == new_size:
        return torch.from_numpy(low_pass_matrix(size, sigma).astype(np.float32))
    impulses = low_pass_matrix(size, sigma)
    impulses = resize(impulses, (new_size, size), order=order, mode="edge", anti_aliasing=False, clip=False)
    impulses[np.abs(impulses) < SMALLEST_WEIGHT] = 0
    return torch.from_numpy(impulses.astype(np.float32))


def resample(
    channels: torch.Tensor | np.ndarray,
    spacing_mm: Sequence[float],
    new_spacing_mm: Sequence[float],
    order: int,
    *,
    device: torch.device | str = "cpu",
    prepare: Callable[[torch.Tensor], torch.Tensor] = lambda part: part,
    low_pass_ratio: float | None = None,
) -> torch.Tensor:
    """What nnU-Net's ``resample_data_or_seg_to_shape`` makes of an image, after a low pass where it is fine.

    Where the slices are three times as thick as the pixels are wide, nnU-Net resamples within them and takes the
    nearest slice across; so does this, of slices that a low pass has averaged if there are many of them.

    Args:
        channels: (C, Z, Y, X), real.
        spacing_mm: Voxel size (Z, Y, X).
        new_spacing_mm: Wanted voxel size; the shape is nnU-Net's for it.
        order: Of the spline within slices: 1 or 3.
        device: Where to compute, and of the result.
        prepare: Applied to every few slices (C, n, Y, X) beforehand, for example a normalisation; may change them.
        low_pass_ratio: The first channel, the CT, gets a low pass along axes on which the wanted voxel is more than
            this times as large; None for no axis.

    Returns:
        (C, z, y, x) float32, each channel within its range in the (prepared) image, as ``resize`` clips it.
    """
    source = torch.as_tensor(channels)
    size = tuple(source.shape[1:])
    new_size = tuple(np.asarray(compute_new_shape(size, spacing_mm, new_spacing_mm), int).tolist())
    if new_size == size:
        return prepare(source.to(device, torch.float32, copy=True))
    separate, axis = determine_do_sep_z_and_axis(None, spacing_mm, new_spacing_mm)
    if separate and axis != 0:  # thick slices along another axis become the first one
        turned = resample(
            source.movedim(1 + axis, 1),
            _first(axis, spacing_mm),
            _first(axis, new_spacing_mm),
            order,
            device=device,
            prepare=prepare,
            low_pass_ratio=low_pass_ratio,
        )
        return turned.movedim(1, 1 + axis).contiguous()
    sigmas = low_pass_sigmas(spacing_mm, new_spacing_mm, low_pass_ratio)
    groups = _channel_groups(len(source), sigmas)
    with _full_precision():
        return _by_matrices(source, new_size, order, groups, device=device, prepare=prepare, nearest_slice=separate)


def _first(axis: int, values: Sequence[float]) -> list[float]:
    """Values of (Z, Y, X) with that of an axis in front."""
    others = [value for other, value in enumerate(values) if other != axis]
    return [values[axis], *others]


@dataclass(frozen=True)
class _ChannelGroup:
    """Channels that are treated alike.

    Attributes:
        channels: Which.
        sigmas: Of their low pass along Z, Y and X, in voxels; 0 for none.
    """

    channels: slice
    sigmas: tuple[float, ...]


def _channel_groups(num_channels: int, ct_sigmas: tuple[float, ...]) -> list[_ChannelGroup]:
    """All channels alike, or the CT, which is the first, and the others."""
    if not any(ct_sigmas):
        return [_ChannelGroup(slice(0, num_channels), ct_sigmas)]
    groups = [_ChannelGroup(slice(0, 1), ct_sigmas)]
    if num_channels > 1:
        groups.append(_ChannelGroup(slice(1, num_channels), (0.0, 0.0, 0.0)))
    return groups


def _by_matrices(
    source: torch.Tensor,
    new_size: tuple[int, ...],
    order: int,
    groups: Sequence[_ChannelGroup],
    *,
    device: torch.device | str,
    prepare: Callable[[torch.Tensor], torch.Tensor],
    nearest_slice: bool,
) -> torch.Tensor:
    """Within slices first, a few at a time, then across."""
    size = tuple(source.shape[1:])
    in_slices = []
    for group in groups:
        rows = resampling_matrix(size[1], new_size[1], order, group.sigmas[1]).to(device)
        columns = resampling_matrix(size[2], new_size[2], order, group.sigmas[2]).to(device)
        in_slices.append((group.channels, rows, columns.T))
    planes = torch.empty((len(source), size[0], *new_size[1:]), device=device)
    lows, highs = torch.empty((2, len(source), size[0], 1, 1), device=device)
    for start in range(0, size[0], SLAB):
        slab = slice(start, start + SLAB)
        part = prepare(source[:, slab].to(device, torch.float32, copy=True))
        for channels, rows, columns in in_slices:
            planes[channels, slab] = rows @ (part[channels] @ columns)
        lows[:, slab] = part.amin((2, 3), True)
        highs[:, slab] = part.amax((2, 3), True)
    if nearest_slice:
        planes = torch.maximum(torch.minimum(planes, highs), lows)
        return _nearest_slices(planes, new_size[0], groups)
    parts = []
    for group in groups:
        across = resampling_matrix(size[0], new_size[0], order, group.sigmas[0]).to(device)
        parts.append(across @ planes[group.channels].flatten(2))
    found = parts[0] if len(parts) == 1 else torch.cat(parts)
    found = found.view(len(source), *new_size)
    return torch.maximum(torch.minimum(found, highs.amax(1, True)), lows.amin(1, True))


def _nearest_slices(planes: torch.Tensor, new_depth: int, groups: Sequence[_ChannelGroup]) -> torch.Tensor:
    """New slices of (C, Z, y, x): the nearest, or with a low pass across them the mean round about it."""
    depth = planes.shape[1]
    nearest = _nearest(depth, new_depth)
    found = planes[:, nearest.to(planes.device)]
    for group in groups:
        if group.sigmas[0]:
            averages = resampling_matrix(depth, depth, 1, group.sigmas[0])[nearest].to(planes.device)
            across = averages @ planes[group.channels].flatten(2)
            found[group.channels] = across.view(found[group.channels].shape)
    return found


@contextmanager
def _full_precision() -> Iterator[None]:
    """Products in float32 whatever the user allows elsewhere: TF32 would be off by 6 HU in 10000."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def nonzero_box(channels: torch.Tensor | np.ndarray) -> Box:
    """Box of the voxels that are not zero in all channels, to which nnU-Net crops.

    Args:
        channels: (C, Z, Y, X).

    Returns:
        Half-open (lo, hi) per axis; everything if no voxel differs from zero.
    """
    data = torch.as_tensor(channels)
    if _reaches_every_side(data):
        _, depth, height, width = data.shape
        return (0, depth), (0, height), (0, width)
    mask = data.bool().any(0)
    along_x, along_y = mask.any(2), mask.any(0)
    return _span(along_x.any(1)), _span(along_x.any(0)), _span(along_y.any(0))


def _reaches_every_side(data: torch.Tensor) -> bool:
    """Whether the first and last voxels of all three axes of (C, Z, Y, X) have values other than zero."""
    for axis in (1, 2, 3):
        if not data.select(axis, 0).any() or not data.select(axis, -1).any():
            return False
    return True


def _span(flags: torch.Tensor) -> tuple[int, int]:
    """Half-open range of the true flags; all of them if none is."""
    hits = flags.nonzero().flatten().tolist()
    if not hits:
        return 0, len(flags)
    return hits[0], hits[-1] + 1


def _nearest(size: int, new_size: int) -> torch.Tensor:
    """Slice that order 0 takes for each new one, by the half-pixel convention; halves go up."""
    position = size / new_size * (np.arange(new_size) + 0.5) - 0.5
    return torch.from_numpy(np.clip(np.floor(position + 0.5), 0, size - 1).astype(np.int64))
