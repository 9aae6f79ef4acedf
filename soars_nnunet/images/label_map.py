"""Reading label maps, counting their voxels, and checking that they lie on the grid of their CT."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import binary_dilation

from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.header import require_header

MAX_LABEL = 65535
"""Largest label of a 16-bit label map."""

GRID_TOLERANCES = {"Size": 0.0, "Spacing": 1e-3, "Origin": 1e-2, "Direction": 1e-4}
"""Voxels, mm, mm and cosines by which a label map may differ from its CT or reference: rounding of file formats."""


def read_label_map(path: str | Path) -> sitk.Image:
    """Read a label map as an image of whole numbers.

    Args:
        path: File with one of ``FILE_ENDINGS``.

    Returns:
        The image in its own orientation, cast to int32.

    Raises:
        InputError: If it is unreadable, not 3D, or holds fractions or negative values.
    """
    image = read_ct(path)
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise InputError(f"{path}: expected a 3D label map with one value a voxel, got another kind; export it again")
    values = sitk.GetArrayViewFromImage(image)
    if not np.issubdtype(values.dtype, np.integer) and not np.array_equal(values, np.round(values)):
        raise InputError(f"{path}: expected whole-number labels, got fractions; give a label map, not probabilities")
    if values.min() < 0 or values.max() > MAX_LABEL:
        raise InputError(
            f"{path}: expected labels of 0 to {MAX_LABEL}, got {values.min():g} to {values.max():g}; is this the CT?"
        )
    return sitk.Cast(image, sitk.sitkInt32)


def count_labels(labels: np.ndarray, highest: int) -> np.ndarray:
    """Voxels of every label.

    Args:
        labels: (Z, Y, X), integers from 0 to ``highest``.
        highest: Highest label.

    Returns:
        (highest + 1,) int64; zeros without voxels.
    """
    count = np.zeros(highest + 1, np.int64)
    for rows in labels:  # one slice at a time: bincount copies to eight bytes
        count += np.bincount(rows.ravel(), minlength=highest + 1)
    return count


def labels_beside(labels: np.ndarray, value: int) -> set[int]:
    """Other labels than 0 that have a voxel beside one of a value, also at an edge or a corner.

    Args:
        labels: (Z, Y, X), integers of 0 and up.
        value: The one label.

    Returns:
        Empty where no voxel has the value.
    """
    mask = labels == value
    if not mask.any():
        return set()
    around = binary_dilation(mask, np.ones((3, 3, 3), bool))
    return {int(label) for label in np.unique(labels[around])} - {0, value}


def check_same_grid(labels: sitk.Image, other: str | Path, name: str) -> None:
    """Check from another file's header (a CT, a reference) that a label map lies on its grid.

    Raises:
        InputError: If size, spacing, origin or direction differ beyond file rounding, or the other file has no header
            that can be used.
    """
    header = require_header(Path(other))
    facts = {
        "Size": header.size,
        "Spacing": header.spacing_mm,
        "Origin": header.origin_mm,
        "Direction": header.direction,
    }
    for what, tolerance in GRID_TOLERANCES.items():
        ours = np.asarray(getattr(labels, f"Get{what}")(), float)
        theirs = np.asarray(facts[what], float)
        if ours.shape != theirs.shape or not np.abs(ours - theirs).max() <= tolerance:
            raise InputError(
                f"{name}: expected the label map on the grid of {Path(other).name}, with {what.lower()} (x, y, z) "
                f"{np.round(theirs, 4).tolist()}, got {np.round(ours, 4).tolist()}; resample the labels onto it"
            )
