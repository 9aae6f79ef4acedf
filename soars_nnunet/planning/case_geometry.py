"""Size and spacing of the training CTs, from the file headers alone."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from soars_nnunet.cascade.record import Cascade
from soars_nnunet.errors import InputError
from soars_nnunet.images.header import require_header


@dataclass(frozen=True)
class CaseGeometry:
    """Grid of a CT in nnU-Net's frame.

    Attributes:
        shape: (Z, Y, X), voxels.
        spacing_mm: (Z, Y, X).
    """

    shape: list[int]
    spacing_mm: list[float]


def read_geometries(cascade: Cascade, branch: str, dataset_json: dict[str, Any]) -> list[CaseGeometry]:
    """Grid of every training CT of a branch, in the order of nnU-Net's list of cases."""
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    cases = get_filenames_of_train_images_and_targets(str(cascade.raw(branch)), deepcopy(dataset_json))
    return [read_geometry(files["images"][0]) for files in cases.values()]


def read_geometry(path: Path | str) -> CaseGeometry:
    """Grid of a CT.

    Raises:
        InputError: If its header cannot be used.
    """
    header = require_header(Path(path))
    # the file's axis along each of Z, Y, X
    axes = np.abs(np.reshape(header.direction, (3, 3))).argmax(1)[::-1]
    shape, spacing_mm = [], []
    for axis in axes:
        shape.append(header.size[int(axis)])
        spacing_mm.append(float(header.spacing_mm[int(axis)]))
    return CaseGeometry(shape, spacing_mm)


def median_spacing_mm(geometries: Sequence[CaseGeometry]) -> np.ndarray:
    """Median spacing (Z, Y, X) of the CTs."""
    return np.median([geometry.spacing_mm for geometry in geometries], axis=0)


def network_spacing_mm(geometries: Sequence[CaseGeometry], wish_mm: Sequence[float] | None) -> np.ndarray:
    """Spacing (Z, Y, X) of a network: the user's, or the median of the CTs.

    Raises:
        InputError: If the user's is not three positive numbers.
    """
    spacing_mm = median_spacing_mm(geometries) if wish_mm is None else np.asarray(wish_mm)
    if spacing_mm.shape != (3,) or not (np.isfinite(spacing_mm) & (spacing_mm > 0)).all():
        raise InputError(f"spacing: expected three positive numbers in mm (Z Y X), got {wish_mm}")
    return spacing_mm


def shapes_at(geometries: Sequence[CaseGeometry], spacing_mm: np.ndarray) -> np.ndarray:
    """(N, 3) sizes (Z, Y, X) of the CTs at a network's spacing, whole voxels as floats."""
    shapes = []
    for geometry in geometries:
        extent_mm = np.asarray(geometry.shape) * np.asarray(geometry.spacing_mm)
        shapes.append(np.round(extent_mm / spacing_mm))
    return np.array(shapes)
