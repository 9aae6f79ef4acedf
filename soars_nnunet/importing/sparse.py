"""Volumes that a set stores as CSV files of voxels: a header, then lines of ``index,value``."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from soars_nnunet.errors import InputError
from soars_nnunet.importing.public_sets import SparseFormat

_LPS_AXES = {
    "superior": (0, 1),
    "inferior": (0, -1),
    "posterior": (1, 1),
    "anterior": (1, -1),
    "left": (2, 1),
    "right": (2, -1),
}
"""By the direction in which an index grows: its place in (Z, Y, X) and whether that is LPS's own direction."""


def read_sparse_ct(path: Path, layout: SparseFormat, spacing_mm: tuple[float, ...]) -> sitk.Image:
    """CT of a sparse file, int16.

    Args:
        path: CSV file.
        layout: Of the set.
        spacing_mm: Voxel size in the order of the layout's axes.

    Raises:
        InputError: As ``read_sparse_values``.
    """
    indices, values = read_sparse_values(path, layout)
    stored = np.clip(np.rint(values + layout.hu_offset), -32768, 32767)
    hu = np.full(layout.num_voxels, layout.outside_hu, np.int16)
    hu[indices] = stored
    return from_axes(hu, layout, spacing_mm)


def read_sparse_mask(path: Path, layout: SparseFormat) -> np.ndarray:
    """Mask of a sparse file, (Z, Y, X) bool in LPS; values do not matter.

    Raises:
        InputError: As ``read_sparse_values``.
    """
    mask = np.zeros(layout.num_voxels, np.uint8)
    indices = _read_columns(path, (0,))[:, 0]
    mask[_whole_indices(indices, path, layout)] = 1
    return sitk.GetArrayFromImage(from_axes(mask, layout, (1.0, 1.0, 1.0))) != 0


def read_sparse_values(path: Path, layout: SparseFormat) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices (int64) and values (float64) of a sparse file.

    Raises:
        InputError: If it is no such file, or an index lies outside the volume or comes twice.
    """
    table = _read_columns(path, (0, 1))
    return _whole_indices(table[:, 0], path, layout), table[:, 1]


def from_axes(flat: np.ndarray, layout: SparseFormat, spacing_mm: tuple[float, ...]) -> sitk.Image:
    """Axial LPS image, identity direction and origin 0, of a flat array.

    Args:
        flat: Values in C order of the layout's shape.
        layout: Says where its axes point.
        spacing_mm: In the order of these axes.
    """
    places, steps = [], []
    for direction in layout.axes:
        place, step = _LPS_AXES[direction]
        places.append(place)
        steps.append(step)
    array = flat.reshape(layout.shape)
    backwards = np.flatnonzero(np.array(steps) < 0)
    array = np.flip(array, tuple(backwards.tolist())).transpose(np.argsort(places))
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    spacing_xyz = [float(spacing_mm[places.index(place)]) for place in (2, 1, 0)]
    image.SetSpacing(spacing_xyz)
    return image


def read_spacing(path: Path) -> tuple[float, ...]:
    """Voxel size of a file of three numbers, mm.

    Raises:
        InputError: If it holds anything else.
    """
    try:
        spacing_mm = np.loadtxt(path, delimiter=",", ndmin=1).ravel()
    except ValueError as error:
        raise InputError(f"{path}: expected three voxel dimensions, got {error}; copy it again") from error
    if spacing_mm.shape != (3,) or not (spacing_mm > 0).all():
        raise InputError(f"{path}: expected three voxel dimensions in mm, got {spacing_mm.tolist()}; copy it again")
    return tuple(spacing_mm)


def _read_columns(path: Path, columns: tuple[int, ...]) -> np.ndarray:
    """Columns of a CSV file behind its header, (lines, columns) float64."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            return np.loadtxt(path, delimiter=",", skiprows=1, usecols=columns, ndmin=2)
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected lines of index,value after a header, got {error}; copy it again") from error


def _whole_indices(numbers: np.ndarray, path: Path, layout: SparseFormat) -> np.ndarray:
    """Numbers as int64 indices, all different and inside the volume."""
    indices = numbers.astype(np.int64)
    inside = not len(indices) or 0 <= indices.min() <= indices.max() < layout.num_voxels
    if (indices != numbers).any() or not inside:
        highest = layout.num_voxels - 1
        raise InputError(f"{path}: expected whole indices from 0 to {highest}, got others; copy it again")
    if len(np.unique(indices)) != len(indices):
        raise InputError(f"{path}: expected every voxel once, got some twice; copy it again")
    return indices
