"""Dice and surface distances of one case, organ by organ.

Axes: label volumes are (Z, Y, X), spacings (mm) in the same order. Surface distances come
from MONAI, which is imported at first use; everything is cropped to one organ first.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import find_objects

from soars_nnunet.profile import Organ, Profile

logger = logging.getLogger(__name__)

SCORED, MISSED, NOT_IN_REFERENCE = "scored", "missed", "not_in_reference"
"""The values of ``OrganScore.status``."""

MAX_LABEL = 65535
"""Largest label accepted, that of a 16-bit label image; a larger value is not a label volume."""

Box = tuple[slice, ...]


@dataclass(frozen=True)
class OrganScore:
    """Scores of one organ in one case.

    Attributes:
        case: Case name.
        organ: Name in the profile.
        tier: Tier in the profile.
        status: ``"scored"``; ``"missed"``, in the reference but not predicted: ``dsc`` is 0, there are
            no distances; or ``"not_in_reference"``, nothing to compare with: all three are None.
        dsc: Dice coefficient, 0 to 1.
        hd_mm: Maximum (not 95th percentile) symmetric Hausdorff distance of the surfaces, mm.
        asd_mm: Average symmetric surface distance, mm.
        reference_ml: Volume in the reference, ml; 0 where the organ is not in it.
        predicted_ml: Volume in the prediction, ml.
    """

    case: str
    organ: str
    tier: str
    status: str
    dsc: float | None
    hd_mm: float | None
    asd_mm: float | None
    reference_ml: float
    predicted_ml: float


def dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Dice coefficient 2 |P and R| / (|P| + |R|).

    Args:
        prediction: Bool, (Z, Y, X).
        reference: Bool, (Z, Y, X).

    Returns:
        0 to 1; NaN if both masks are empty.
    """
    total = np.count_nonzero(prediction) + np.count_nonzero(reference)
    return float(2.0 * np.count_nonzero(prediction & reference) / total) if total else float("nan")


def surface_distances_mm(
    prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Distance of each surface voxel to the other mask's nearest surface voxel.

    A surface voxel is a voxel of the mask with a face neighbour outside of it; beyond the array
    counts as outside. Distances are between voxel centres.

    Args:
        prediction: Bool, (Z, Y, X).
        reference: Bool, (Z, Y, X).
        spacing_mm: Voxel spacing (Z, Y, X), mm.

    Returns:
        Distances (mm) from the prediction's surface to the reference's, and back, both 1D.
        Both are empty if either mask is.

    Raises:
        ValueError: If MONAI is not installed.
    """
    if not (prediction.any() and reference.any()):
        return np.empty(0), np.empty(0)
    try:
        from monai.metrics.utils import get_mask_edges, get_surface_distance
    except ImportError as error:
        raise ValueError(f"expected MONAI for surface distances, got: {error}; do: pip install 'monai>=1.4'") from error
    spacing = [float(s) for s in spacing_mm]
    edges_p, edges_r = get_mask_edges(prediction, reference, crop=False)
    forth = get_surface_distance(edges_p, edges_r, spacing=spacing)
    back = get_surface_distance(edges_r, edges_p, spacing=spacing)
    return np.asarray(forth, dtype=np.float64), np.asarray(back, dtype=np.float64)


def hd_and_asd_mm(prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float]) -> tuple[float, float]:
    """Maximum Hausdorff distance and average symmetric surface distance.

    HD is the largest of all surface distances in both directions; ASD is the mean over all
    surface voxels of both masks together, so the larger surface weighs more.

    Args:
        prediction: Bool, (Z, Y, X).
        reference: Bool, (Z, Y, X).
        spacing_mm: Voxel spacing (Z, Y, X), mm.

    Returns:
        HD and ASD, mm; both NaN if either mask is empty.

    Raises:
        ValueError: If MONAI is not installed.
    """
    both = np.concatenate(surface_distances_mm(prediction, reference, spacing_mm))
    return (float(both.max()), float(both.mean())) if both.size else (float("nan"), float("nan"))


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
        for other, reason in ((by_organ.get(organ.name), organ.name), (by_value.get(value), f"the value {value}")):
            if other is not None:
                raise ValueError(
                    f"labels: expected one name for each organ and value, got '{other}' and '{name}' for {reason}; "
                    "correct the label list"
                )
        values[organ.name], by_organ[organ.name], by_value[value] = value, name, name
    return values, tuple(unknown)


def label_volume(array: np.ndarray, what: str) -> np.ndarray:
    """Check that an array holds labels, and make it integer.

    Args:
        array: (Z, Y, X), any real type.
        what: Name in the messages, such as a path.

    Returns:
        The array itself if it is integer, else an int32 copy; (Z, Y, X). May be empty or all background.

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
        return array.astype(np.int32)
    if array.dtype.kind == "f" and not (np.isfinite(array).all() and np.array_equal(array, np.rint(array))):
        raise ValueError(f"{what}: expected integer labels, got fractions or NaN; is this an image or a probability?")
    low, high = array.min(), array.max()
    if low < 0 or high > MAX_LABEL:
        raise ValueError(f"{what}: expected labels from 0 to {MAX_LABEL}, got {low:g} to {high:g}; is this an image?")
    return array.astype(np.int32) if array.dtype.kind == "f" else array


def score_case(
    case: str,
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing_mm: Sequence[float],
    profile: Profile,
    prediction_labels: Mapping[str, int] | None = None,
    reference_labels: Mapping[str, int] | None = None,
) -> list[OrganScore]:
    """Score every organ of the profile in one case.

    An organ with ``composite`` in the profile is compared as the union of those organs in both
    volumes; whether the reference has it depends on the organ itself.

    Args:
        case: Name that the scores carry.
        prediction: Labels, (Z, Y, X).
        reference: Labels, (Z, Y, X), on the same grid.
        spacing_mm: Voxel spacing (Z, Y, X), mm.
        profile: Organs to score.
        prediction_labels: Label value by name in the prediction; None for the profile's labels.
        reference_labels: The same of the reference.

    Returns:
        One score an organ, in the profile's order, also where both volumes are empty. Values that no
        name has are ignored with a warning.

    Raises:
        ValueError: On different shapes, a spacing that is not positive, values that are no labels,
            or label names that contradict each other.
    """
    prediction = label_volume(prediction, f"case '{case}', prediction")
    reference = label_volume(reference, f"case '{case}', reference")
    if prediction.shape != reference.shape:
        raise ValueError(
            f"case '{case}': expected volumes of one shape, got prediction {prediction.shape} and reference "
            f"{reference.shape}; resample one of them"
        )
    if len(spacing_mm) != 3 or not all(np.isfinite(s) and s > 0 for s in spacing_mm):
        raise ValueError(
            f"case '{case}': expected a spacing (Z, Y, X) above 0 mm, got {tuple(spacing_mm)}; correct the header"
        )
    predicted = _Labelled(prediction, resolve_labels(prediction_labels, profile)[0])
    referenced = _Labelled(reference, resolve_labels(reference_labels, profile)[0])
    _warn_unnamed(f"case '{case}', prediction", predicted, prediction_labels)
    _warn_unnamed(f"case '{case}', reference", referenced, reference_labels)
    return [_score_organ(case, organ, predicted, referenced, spacing_mm) for organ in profile.organs]


class _Labelled:
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


def _warn_unnamed(what: str, volume: _Labelled, labels: Mapping[str, int] | None) -> None:
    listed = set(volume.values.values() if labels is None else labels.values())
    unnamed = [str(value) for value, box in enumerate(volume.boxes, 1) if box and value not in listed]
    if unnamed:
        logger.warning("%s: values without a name, ignored: %s", what, ", ".join(unnamed))


def _score_organ(
    case: str, organ: Organ, predicted: _Labelled, referenced: _Labelled, spacing_mm: Sequence[float]
) -> OrganScore:
    parts = organ.composite or (organ.name,)
    voxel_ml = float(np.prod(np.asarray(spacing_mm, dtype=np.float64))) / 1000.0
    found = [box for volume in (predicted, referenced) for part in parts if (box := volume.box(part))]
    if not found:
        return OrganScore(case, organ.name, organ.tier, NOT_IN_REFERENCE, None, None, None, 0.0, 0.0)
    box = tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*found, strict=True))
    mask_p, mask_r = predicted.mask(parts, box), referenced.mask(parts, box)
    predicted_ml, reference_ml = (float(np.count_nonzero(mask) * voxel_ml) for mask in (mask_p, mask_r))
    if referenced.box(organ.name) is None:
        return OrganScore(case, organ.name, organ.tier, NOT_IN_REFERENCE, None, None, None, 0.0, predicted_ml)
    if not mask_p.any():
        return OrganScore(case, organ.name, organ.tier, MISSED, 0.0, None, None, reference_ml, 0.0)
    hd_mm, asd_mm = hd_and_asd_mm(mask_p, mask_r, spacing_mm)
    dsc = dice(mask_p, mask_r)
    return OrganScore(case, organ.name, organ.tier, SCORED, dsc, hd_mm, asd_mm, reference_ml, predicted_ml)
