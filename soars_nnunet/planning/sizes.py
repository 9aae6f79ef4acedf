"""Patch size and pooling strides that fit the data: pure functions of spacing and image size.

Axes: sizes and spacings (Z, Y, X), voxels and mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_POOLS = 3
"""P-HNN has four blocks (paper ref. 12), so three poolings between them."""
MIN_FEATURE_VOXELS = 4
"""Fewest voxels an axis may have at the deepest block, as in nnU-Net."""
MAX_ANISOTROPY = 2.0
"""An axis is pooled only while its voxels are shorter than this times the shortest, as in nnU-Net."""

UNLIMITED = 2**20
"""Voxels that no image reaches."""


@dataclass(frozen=True)
class NetworkSize:
    """Patch (Z, Y, X) in voxels, one stride a block, and why they were chosen."""

    patch: tuple[int, int, int]
    strides: tuple[tuple[int, int, int], ...]
    reason: str


def choose_size(
    median_shape: tuple[int, ...],
    spacing_mm: tuple[float, ...],
    max_patch_voxels: tuple[int, ...] | None,
    max_patch_mm: float | None = None,
) -> NetworkSize:
    """Largest patch within the regime's limits and the image, with as many poolings as an axis bears.

    Args:
        median_shape: Median image size at the network's spacing.
        spacing_mm: The network's spacing.
        max_patch_voxels: The regime's patch, for example the paper's (64, 128, 128). None for no limit.
        max_patch_mm: Longest useful patch extent; at coarse spacing a patch of many voxels would
            cover the whole body. None for no limit.

    Raises:
        ValueError: If an axis has fewer than 4 voxels.
    """
    shape = np.asarray(median_shape, float)
    spacing = np.asarray(spacing_mm, float)
    if shape.min() < MIN_FEATURE_VOXELS:
        raise ValueError(f"expected at least {MIN_FEATURE_VOXELS} voxels an axis, got {tuple(median_shape)}")
    most = np.full(3, UNLIMITED) if max_patch_voxels is None else np.asarray(max_patch_voxels)
    limits = {"image": shape, "regime": most.astype(float)}
    if max_patch_mm is not None:
        limits["extent"] = max_patch_mm / spacing
    wanted = np.min(list(limits.values()), axis=0)
    strides = _strides(wanted, spacing)
    total = np.prod(strides, axis=0)
    # an image's border may be padded, so an axis limited by the image rounds up, any other rounds to nearest
    by_image = limits["image"] <= wanted
    steps = np.where(by_image, np.ceil(wanted / total), np.maximum(np.round(wanted / total), 1))
    patch = np.minimum(steps * total, np.where(by_image, np.inf, most // total * total))
    reason = (
        f"patch {_text(patch)} voxels = {_text(patch * spacing)} mm, bound by {_bounds(limits)}; "
        f"poolings per axis {_text(np.log2(total))} at spacing {_text(spacing, 2)} mm, median image {_text(shape)}"
    )
    return NetworkSize(_voxels(patch), tuple(strides), reason)


def _bounds(limits: dict[str, np.ndarray]) -> str:
    """Which limit holds along each axis."""
    names = list(limits)
    nearest = np.argmin(list(limits.values()), axis=0)
    return ", ".join(f"{axis}: {names[index]}" for axis, index in zip("ZYX", nearest, strict=True))


def _strides(wanted: np.ndarray, spacing: np.ndarray) -> list[tuple[int, int, int]]:
    strides = [(1, 1, 1)]
    voxels = wanted.copy()
    lengths = spacing.copy()
    for _ in range(NUM_POOLS):
        pool = (lengths < MAX_ANISOTROPY * lengths.min()) & (voxels / 2 >= MIN_FEATURE_VOXELS)
        stride = np.where(pool, 2, 1)
        strides.append(_voxels(stride))
        voxels = voxels / stride
        lengths = lengths * stride
    return strides


def _voxels(values: np.ndarray) -> tuple[int, int, int]:
    z, y, x = values
    return int(z), int(y), int(x)


def _text(values: np.ndarray, digits: int = 0) -> str:
    return " x ".join(f"{value:.{digits}f}" for value in values)
