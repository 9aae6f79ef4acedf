"""The label volumes of one case, and what their values mean.

Axes: label volumes are (Z, Y, X), spacings (mm) in the same order.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects

from soars_nnunet.cascade.classes import IGNORE
from soars_nnunet.images.label_map import labels_beside
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


@dataclass(frozen=True)
class JudgedVolumes:
    """Labels of a case without the voxels that nobody judged.

    Attributes:
        predicted: (Z, Y, X), background where a volume has the ignore label.
        reference: The same.
        cut: Other labels of the reference that touch ignored voxels: their organs may go on there.
    """

    predicted: np.ndarray
    reference: np.ndarray
    cut: frozenset[int] = frozenset()

    @classmethod
    def of(
        cls, predicted: np.ndarray, reference: np.ndarray, ignore: int | None, in_prediction: int | None = None
    ) -> JudgedVolumes:
        """Take out the voxels that are labelled ignore in either volume.

        Args:
            predicted: (Z, Y, X).
            reference: (Z, Y, X).
            ignore: The label in the reference; None for none.
            in_prediction: The label in the prediction, which may be another observer's; None for none.
        """
        if (ignore is None and in_prediction is None) or predicted.shape != reference.shape:
            return cls(predicted, reference)
        ignored = np.zeros(reference.shape, bool)
        for volume, label in ((reference, ignore), (predicted, in_prediction)):
            if label is not None:
                ignored |= volume == label
        if not ignored.any():
            return cls(predicted, reference)
        marked = np.where(ignored, MAX_LABEL + 1, reference.astype(np.int32))
        cut = frozenset(labels_beside(marked, MAX_LABEL + 1))
        return cls(np.where(ignored, 0, predicted), np.where(ignored, 0, reference), cut)

    def partly_judged(self, values: Mapping[str, int]) -> list[str]:
        """Organs, of those with a label, whose centre is unknown because they may go on in ignored voxels."""
        return [name for name, value in values.items() if value in self.cut]


def without_ignore(labels: Mapping[str, int] | None) -> tuple[dict[str, int] | None, int | None]:
    """A label list without nnU-Net's ignore label, and that label; None where there is none."""
    if labels is None:
        return None, None
    organs = {name: value for name, value in labels.items() if name.casefold() != IGNORE}
    ignored = [value for name, value in labels.items() if name.casefold() == IGNORE and value > 0]
    return organs, ignored[0] if ignored else None


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
