"""The label volumes of one case, and what their values mean.

Axes: label volumes are (Z, Y, X), spacings (mm) in the same order.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects

from soars_nnunet.profile import Profile

logger = logging.getLogger(__name__)

MAX_LABEL = 65535
"""Largest label accepted, that of a 16-bit label image; a larger value is not a label volume."""

Box = tuple[slice, ...]


@dataclass(frozen=True)
class CaseVolumes:
    """What is compared in one case.

    Attributes:
        case: Name that the scores carry.
        predicted: Labels, (Z, Y, X).
        reference: Labels, (Z, Y, X), on the same grid.
        spacing_mm: Voxel spacing (Z, Y, X), mm.
        predicted_labels: Label value by name in ``predicted``; None for the profile's labels.
        reference_labels: The same of ``reference``.
        not_annotated: Organs (names in the profile) that nobody drew in this case, whatever the reference holds.
    """

    case: str
    predicted: np.ndarray
    reference: np.ndarray
    spacing_mm: Sequence[float]
    predicted_labels: Mapping[str, int] | None = None
    reference_labels: Mapping[str, int] | None = None
    not_annotated: Collection[str] = ()

    def predicted_values(self, profile: Profile) -> dict[str, int]:
        """Label value by organ in the prediction."""
        values, _ = resolve_labels(self.predicted_labels, profile)
        return values

    def reference_values(self, profile: Profile) -> dict[str, int]:
        """Label value by organ in the reference, without the organs that are not annotated."""
        values, _ = resolve_labels(self.reference_labels, profile)
        for name in self.not_annotated:
            values.pop(name, None)
        return values


class LabelledVolume:
    """A label volume (Z, Y, X) with the bounding box of every label, found in one pass."""

    def __init__(self, array: np.ndarray, values: Mapping[str, int]) -> None:
        self.array = array
        self.values = values
        self.boxes: list[Box | None] = find_objects(array) if array.size else []

    def box(self, name: str) -> Box | None:
        """Bounding box of one organ; None if it is not there."""
        value = self.values.get(name, 0)
        return self.boxes[value - 1] if 0 < value <= len(self.boxes) else None

    def mask(self, names: Sequence[str], box: Box) -> np.ndarray:
        """Union of organs inside a box: bool, (Z, Y, X) of the box."""
        crop = self.array[box]
        mask = np.zeros(crop.shape, dtype=bool)
        for name in names:
            if name in self.values:
                mask |= crop == self.values[name]
        return mask


def resolve_labels(labels: Mapping[str, int] | None, profile: Profile) -> tuple[dict[str, int], tuple[str, ...]]:
    """Translate a data set's label names to the profile's organs.

    Args:
        labels: Label value by name, background included or not; None for the profile's own labels.
        profile: Organs and their aliases.

    Returns:
        Label value by the profile's organ name, and the names that the profile does not know.

    Raises:
        ValueError: If two names mean one organ, or two organs share a value.
    """
    if labels is None:
        return {organ.name: organ.label for organ in profile.organs}, ()
    values: dict[str, int] = {}
    by_organ: dict[str, str] = {}
    by_value: dict[int, str] = {}
    unknown: list[str] = []
    for name, value in labels.items():
        if value == 0:
            continue
        organ = profile.resolve(name)
        if organ is None:
            unknown.append(name)
            continue
        _check_single(name, by_organ.get(organ.name), organ.name)
        _check_single(name, by_value.get(value), f"the value {value}")
        values[organ.name] = value
        by_organ[organ.name] = name
        by_value[value] = name
    return values, tuple(unknown)


def _check_single(name: str, other: str | None, meaning: str) -> None:
    if other is not None:
        raise ValueError(
            f"labels: expected one name for each organ and value, got '{other}' and '{name}' for {meaning}; "
            "correct the label list"
        )


def label_volume(array: np.ndarray, what: str) -> np.ndarray:
    """Check that an array holds labels, and make it integer.

    Args:
        array: (Z, Y, X), any real type.
        what: Name in the messages, such as a path.

    Returns:
        The labels as uint8, or uint16 where one is above 255; a copy only where the type differs; (Z, Y, X).
        May be empty or all background.

    Raises:
        ValueError: If it is not 3D, or has values that are not integers from 0 to 65535.
    """
    if array.ndim != 3:
        raise ValueError(f"{what}: expected a 3D label volume, got shape {array.shape}; pass one channel")
    if array.dtype.kind == "b":
        return array.astype(np.uint8)
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{what}: expected integer labels, got {array.dtype}; convert the label volume")
    if array.size == 0:
        return array.astype(np.uint8)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and np.array_equal(array, np.rint(array))):
        raise ValueError(f"{what}: expected integer labels, got fractions or NaN; is this an image or a probability?")
    low, high = array.min(), array.max()
    if low < 0 or high > MAX_LABEL:
        raise ValueError(f"{what}: expected labels from 0 to {MAX_LABEL}, got {low:g} to {high:g}; is this an image?")
    return array.astype(np.uint8 if high <= 255 else np.uint16, copy=False)
