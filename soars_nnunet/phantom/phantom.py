"""Synthetic head-and-neck CTs in which every organ of a profile is drawn.

The anatomy is data (``plans/phantom.json``): ellipsoids, rounded boxes and tubes in a canonical
head frame. A seeded smooth map takes a patient's coordinates to that frame, so that all organs
move together; each organ also gets a small jitter of its own. Shapes are signed distances
evaluated at the voxel centres, hence the same patient can be drawn on any grid.

Axes: arrays and all triples are (Z, Y, X); Z grows to the head, Y to the back, X to the patient's
left. World coordinates are mm from the centre of the field of view.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet.phantom.anatomy import anatomy, paint_order, phantom_table
from soars_nnunet.phantom.drawing import OrganMask, add_noise, draw_slab, place
from soars_nnunet.phantom.patient_map import PatientMap
from soars_nnunet.profile import Profile, load_profile

SLAB_VOXELS = 2_000_000
"""Voxels drawn at a time; bounds the float32 work arrays to about 100 MB."""


@dataclass(frozen=True)
class Phantom:
    """One synthetic patient.

    Attributes:
        ct_hu: (Z, Y, X) int16, Hounsfield units.
        labels: (Z, Y, X) uint8, labels of the profile; 0 is background.
        spacing_mm: Voxel size (Z, Y, X).
        origin_mm: Centre of voxel 0 in the patient's coordinates (Z, Y, X), LPS.
    """

    ct_hu: np.ndarray
    labels: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]

    def ct_image(self) -> sitk.Image:
        """CT as an image with identity direction (LPS), int16."""
        return self._image(self.ct_hu)

    def label_image(self) -> sitk.Image:
        """Label volume as an image with identity direction (LPS), uint8."""
        return self._image(self.labels)

    def _image(self, array: np.ndarray) -> sitk.Image:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.spacing_mm[::-1])
        image.SetOrigin(self.origin_mm[::-1])
        return image


def make_phantom(
    seed: int,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    profile: Profile | None = None,
) -> Phantom:
    """Draw one patient.

    The grid is centred on the head and neck: 96 x 80 x 80 voxels of 3 mm hold all organs; larger
    fields add air, shoulders and chest, smaller ones crop. The CT does not depend on the profile,
    and the anatomy does not depend on the grid. Where organs overlap, the one of higher
    ``precedence`` wins, and the smaller one among equals.

    Args:
        seed: Patient; 0 or more. The same seed and grid give identical arrays.
        shape: Voxels (Z, Y, X).
        spacing_mm: Voxel size (Z, Y, X), mm.
        profile: Organs to label; the 42 organs of ``hn42`` by default.

    Returns:
        The patient; an organ outside the field of view has no voxels.

    Raises:
        ValueError: On a bad seed, shape or spacing, or an organ that the anatomy does not hold.
    """
    shape, spacing_mm = validate_grid(shape, spacing_mm)
    validate_count("seed", seed, minimum=0)
    painted = paint_order(profile or load_profile("hn42"))
    mapping = PatientMap(seed, shape, spacing_mm, phantom_table()["field_of_view_centre_mm"])
    placed = []
    for part in anatomy():
        item = place(part, mapping, seed)
        if item is not None:
            placed.append(item)
    ct_hu = np.empty(shape, np.int16)
    labels = np.zeros(shape, np.uint8)
    depth = max(1, SLAB_VOXELS // (shape[1] * shape[2]))
    for start in range(0, shape[0], depth):
        rows = slice(start, min(start + depth, shape[0]))
        slab_hu, masks = draw_slab(placed, mapping, rows, voxel_mm=float(np.mean(spacing_mm)))
        ct_hu[rows] = add_noise(slab_hu, seed, start)
        _paint(labels[rows], masks, painted)
    return Phantom(ct_hu, labels, spacing_mm, _origin_mm(shape, spacing_mm))


def _paint(labels: np.ndarray, masks: Sequence[OrganMask], order: Sequence[tuple[str, int]]) -> None:
    """Write the labels of a slab (Z, Y, X) in place, later ones over earlier ones."""
    for name, label in order:
        for organ in masks:
            if organ.name == name:
                labels[organ.box][organ.mask] = label


def _origin_mm(shape: Sequence[int], spacing_mm: Sequence[float]) -> tuple[float, float, float]:
    """Centre of voxel 0 where the grid is centred on 0."""
    size_z, size_y, size_x = shape
    mm_z, mm_y, mm_x = spacing_mm
    return -0.5 * (size_z - 1) * mm_z, -0.5 * (size_y - 1) * mm_y, -0.5 * (size_x - 1) * mm_x


def validate_grid(shape: Any, spacing_mm: Any) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    """A grid's shape (Z, Y, X) and spacing as plain numbers.

    Raises:
        ValueError: If one of them is not three positive numbers, whole ones for the shape.
    """
    if not _is_triple(shape, numbers.Integral) or min(shape) < 1:
        raise ValueError(f"shape: expected 3 positive integers (Z, Y, X), got {shape!r}")
    if not _is_triple(spacing_mm, numbers.Real) or not _is_positive(spacing_mm):
        raise ValueError(f"spacing_mm: expected 3 positive numbers (Z, Y, X), got {spacing_mm!r}")
    size_z, size_y, size_x = shape
    mm_z, mm_y, mm_x = spacing_mm
    return (int(size_z), int(size_y), int(size_x)), (float(mm_z), float(mm_y), float(mm_x))


def validate_count(name: str, value: object, minimum: int) -> None:
    """Check a number.

    Raises:
        ValueError: If it is not whole or below the minimum.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{name}: expected an integer of at least {minimum}, got {value!r}")


def _is_triple(value: Any, kind: type) -> bool:
    sized = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    if not sized or len(value) != 3:
        return False
    return all(isinstance(number, kind) and not isinstance(number, bool) for number in value)


def _is_positive(values: Any) -> bool:
    return all(value > 0 and math.isfinite(value) for value in values)
