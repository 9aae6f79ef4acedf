"""Volumes of interest of the small & hard tier (paper sec. 3.1), as boxes on the image grid.

A VOI has three times the largest extent of its target's organs in the training set and is centred
at the heat map's peak. Axes are (Z, Y, X); a box is a half-open (lo, hi) pair of image voxels per
axis and may reach outside the image.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from soars_nnunet.geometry.grid import Box, Grid, box_intersection, box_overlap, box_slices
from soars_nnunet.geometry.organ_centers import label_boxes
from soars_nnunet.geometry.stitch import interpolate_box
from soars_nnunet.paper import stated

VOI_FACTOR: float = stated("voi_factor")
"""VOI size over the largest organ extent (paper sec. 3.1)."""


def target_extents_mm(
    labels: np.ndarray, target_labels: Sequence[Sequence[int]], spacing_mm: Sequence[float]
) -> np.ndarray:
    """Size of the bounding box of every target's voxels.

    Args:
        labels: (Z, Y, X) integer label volume; values below 1 are ignored.
        target_labels: Labels (1 and up) of each target's organs, taken together.
        spacing_mm: Voxel size (Z, Y, X).

    Returns:
        (T, 3) float64 in mm, from the outer face of the first voxel to that of the last; NaN for a
        target without a voxel; shape (0, 3) without targets.
    """
    boxes = label_boxes(labels, target_labels)
    extents = np.full((len(target_labels), 3), np.nan)
    for row, target in enumerate(target_labels):
        starts, stops = [], []
        for label in target:
            box = boxes[label - 1]
            if box is not None:
                starts.append([part.start for part in box])
                stops.append([part.stop for part in box])
        if starts:
            extent_vox = np.max(stops, axis=0) - np.min(starts, axis=0)
            extents[row] = extent_vox * np.asarray(spacing_mm)
    return extents


def voi_size_mm(extents_mm: ArrayLike, factor: float = VOI_FACTOR) -> np.ndarray:
    """VOI size of every target from its extents in the training cases.

    Args:
        extents_mm: (N, T, 3) of ``target_extents_mm``, NaN where a case lacks the target.
        factor: VOI size over the largest extent.

    Returns:
        (T, 3) float64 in mm.

    Raises:
        ValueError: If there are no cases, or no case has some target.
    """
    extents = np.asarray(extents_mm, dtype=np.float64)
    if extents.ndim != 3 or extents.shape[2] != 3 or not len(extents):
        raise ValueError(f"expected extents (cases, targets, 3) of at least one case, got shape {extents.shape}")
    unseen = np.flatnonzero(np.isnan(extents).any(axis=2).all(axis=0))
    if len(unseen):
        raise ValueError(
            f"expected every target in at least one of {len(extents)} cases, got none with target "
            f"{', '.join(map(str, unseen))}; leave its organs out of the profile or add cases that have them"
        )
    return factor * np.nanmax(extents, axis=0)


def voi_box(center_vox: ArrayLike, size_mm: ArrayLike, spacing_mm: ArrayLike) -> Box:
    """Box of image voxels round a centre.

    Args:
        center_vox: (3,) continuous image voxel coordinates.
        size_mm: (3,) size of the VOI.
        spacing_mm: (3,) voxel size of the image.

    Returns:
        (lo, hi) per axis with ``hi - lo = ceil(size / spacing)``; the box's middle is within half a voxel of the
        centre. Where two such boxes are equally near it is both together, one voxel more, so that a mirrored
        centre has the mirrored box. It may reach outside the image.

    Raises:
        ValueError: If the centre is not finite, or a size or spacing is not positive.
    """
    center = np.asarray(center_vox, dtype=np.float64)
    size = np.asarray(size_mm, dtype=np.float64)
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    if not (center.shape == size.shape == spacing.shape == (3,)):
        raise ValueError(f"expected three values each, got shapes {center.shape}, {size.shape} and {spacing.shape}")
    finite = np.isfinite([center, size, spacing]).all()
    if not finite or size.min() <= 0 or spacing.min() <= 0:
        raise ValueError(f"expected a finite centre, positive size and spacing, got {center}, {size} and {spacing}")
    # Rounded first, so that 3 x 10.2 mm at 1.02 mm is 30 voxels in spite of float noise.
    voxels = np.ceil(np.round(size / spacing, 6)).astype(int)
    start = np.round(center - (voxels - 1) / 2, 6)
    z_lo, y_lo, x_lo = np.ceil(start - 0.5).astype(int).tolist()
    z_hi, y_hi, x_hi = (np.floor(start + 0.5).astype(int) + voxels).tolist()
    return (z_lo, z_hi), (y_lo, y_hi), (x_lo, x_hi)


def crop_box(array: np.ndarray, box: Box, fill: float) -> np.ndarray:
    """Box of an image, padded where it reaches outside.

    Args:
        array: (..., Z, Y, X).
        box: Image voxels (lo, hi) per axis.
        fill: Value outside the image.

    Returns:
        A new array (..., box) of the same dtype; all ``fill`` if the box misses the image.

    Raises:
        ValueError: If the box is empty.
    """
    cropped = np.full(array.shape[:-3] + _box_shape(box), fill, dtype=array.dtype)
    image_part, box_part = box_overlap(box, array.shape[-3:])
    z, y, x = image_part
    box_z, box_y, box_x = box_part
    cropped[..., box_z, box_y, box_x] = array[..., z, y, x]
    return cropped


def sample_on_box(volume: torch.Tensor | np.ndarray, grid: Grid, box: Box) -> torch.Tensor:
    """Channels of a network grid, for example heat maps, at the image voxels of a box.

    Args:
        volume: (T, z, y, x) on the network grid, floating.
        grid: Where the network grid lies.
        box: Image voxels (lo, hi) per axis; may reach outside the image.

    Returns:
        (T, box) float32 on the volume's device, linearly interpolated inside the crop that the grid covers; zero
        outside it and outside the image.

    Raises:
        ValueError: If the volume is not on the grid or the box is empty.
    """
    if volume.ndim != 4:
        raise ValueError(f"expected a volume (T, z, y, x), got shape {tuple(volume.shape)}")
    volume = torch.as_tensor(volume)
    sampled = torch.zeros((len(volume), *_box_shape(box)), device=volume.device)
    common = box_intersection(box, grid.crop)
    if any(lo == hi for lo, hi in common):
        return sampled
    inside = box_slices(common, box)
    for channel, values in zip(sampled, volume, strict=True):
        channel[inside] = interpolate_box(values, grid, common)
    return sampled


def _box_shape(box: Box) -> tuple[int, ...]:
    shape = tuple(hi - lo for lo, hi in box)
    if min(shape) < 1:
        raise ValueError(f"expected a box of at least one voxel per axis, got {box}")
    return shape
