"""nnU-Net's cubic resampling of images, as one small matrix per axis, on any device.

nnU-Net resamples by ``skimage.transform.resize``, which sums every output voxel over 64 inputs in float64 on one core.
A cubic spline on a grid that is only stretched is linear and separable, so that a matrix per axis, made by the same
``resize`` from unit impulses, gives the same values by three products. Axes are (Z, Y, X).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import numpy as np
import torch
from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape, determine_do_sep_z_and_axis
from skimage.transform import resize

from soars_nnunet.geometry.grid import Box

SLAB = 16
"""Slices worked on at a time."""
SMALLEST_WEIGHT = 1e-10
"""A cubic spline's weights die away along the whole axis; those below this are less than float32's rounding, and would
leave denormal numbers in air, with which convolutions are four times slower on some CPUs."""


@lru_cache(maxsize=256)
def resampling_matrix(size: int, new_size: int, order: int) -> torch.Tensor:
    """Weights of ``resize`` along one axis: (new_size, size) float32; the identity for equal sizes."""
    if size == new_size:
        return torch.eye(size)
    impulses = resize(np.eye(size), (new_size, size), order=order, mode="edge", anti_aliasing=False, clip=False)
    impulses[np.abs(impulses) < SMALLEST_WEIGHT] = 0
    return torch.from_numpy(impulses.astype(np.float32))


def resample(
    channels: torch.Tensor | np.ndarray,
    spacing_mm: Sequence[float],
    new_spacing_mm: Sequence[float],
    order: int,
    device: torch.device | str = "cpu",
    prepare: Callable[[torch.Tensor], torch.Tensor] = lambda part: part,
) -> torch.Tensor:
    """What nnU-Net's ``resample_data_or_seg_to_shape`` makes of an image.

    Where the slices are three times as thick as the pixels are wide, nnU-Net resamples within them and takes the
    nearest slice across; so does this.

    Args:
        channels: (C, Z, Y, X), real.
        spacing_mm: Voxel size (Z, Y, X).
        new_spacing_mm: Wanted voxel size; the shape is nnU-Net's for it.
        order: Of the spline within slices: 1 or 3.
        device: Where to compute, and of the result.
        prepare: Applied to every few slices (C, n, Y, X) beforehand, for example a normalisation; may change them.

    Returns:
        (C, z, y, x) float32, each channel within its range in the (prepared) image, as ``resize`` clips it.
    """
    source = torch.as_tensor(channels)
    size = tuple(source.shape[1:])
    new_size = tuple(int(n) for n in compute_new_shape(size, spacing_mm, new_spacing_mm))
    if new_size == size:
        return prepare(source.to(device, torch.float32, copy=True))
    separate, axis = determine_do_sep_z_and_axis(None, spacing_mm, new_spacing_mm)
    if separate and axis != 0:  # thick slices along another axis become the first one
        turn = [axis, *(other for other in range(3) if other != axis)]
        there, back = [0, *(1 + i for i in turn)], [0, *(1 + turn.index(i) for i in range(3))]
        spacings = ([mm[i] for i in turn] for mm in (spacing_mm, new_spacing_mm))
        return resample(source.permute(there), *spacings, order, device, prepare).permute(back).contiguous()
    with _full_precision():
        return _by_matrices(source, new_size, order, device, prepare, separate)


def _by_matrices(
    source: torch.Tensor,
    new_size: tuple[int, ...],
    order: int,
    device: torch.device | str,
    prepare: Callable[[torch.Tensor], torch.Tensor],
    nearest_slice: bool,
) -> torch.Tensor:
    """Within slices first, a few at a time, then across."""
    size = tuple(source.shape[1:])
    rows, columns = (resampling_matrix(size[i], new_size[i], order).to(device) for i in (1, 2))
    planes = torch.empty((len(source), size[0], *new_size[1:]), device=device)
    lows, highs = torch.empty((2, len(source), size[0], 1, 1), device=device)
    for start in range(0, size[0], SLAB):
        slab = slice(start, start + SLAB)
        part = prepare(source[:, slab].to(device, torch.float32, copy=True))
        planes[:, slab] = rows @ (part @ columns.T)
        lows[:, slab], highs[:, slab] = part.amin((2, 3), True), part.amax((2, 3), True)
    if nearest_slice:
        planes = torch.maximum(torch.minimum(planes, highs), lows)
        return planes[:, _nearest(size[0], new_size[0]).to(device)]
    across = resampling_matrix(size[0], new_size[0], order).to(device)
    found = (across @ planes.flatten(2)).view(len(source), *new_size)
    return torch.maximum(torch.minimum(found, highs.amax(1, True)), lows.amin(1, True))


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
    if all(data.select(axis, side).any() for axis in (1, 2, 3) for side in (0, -1)):
        z, y, x = ((0, size) for size in data.shape[1:])
        return z, y, x
    mask = data.bool().any(0)
    along_x, along_y = mask.any(2), mask.any(0)
    hits = [flags.nonzero().flatten().tolist() for flags in (along_x.any(1), along_x.any(0), along_y.any(0))]
    z, y, x = ((found[0], found[-1] + 1) if found else (0, size) for found, size in zip(hits, mask.shape, strict=True))
    return z, y, x


def _nearest(size: int, new_size: int) -> torch.Tensor:
    """Slice that order 0 takes for each new one, by the half-pixel convention; halves go up."""
    position = size / new_size * (np.arange(new_size) + 0.5) - 0.5
    return torch.from_numpy(np.clip(np.floor(position + 0.5), 0, size - 1).astype(np.int64))
