"""Scores of one case, organ by organ.

Axes: label volumes are (Z, Y, X), spacings (mm) in the same order. Everything is cropped to one
organ first; what a score means is in surface.py, what becomes of empty organs in ``OrganScore``.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import find_objects

from soars_nnunet.evaluation.surface import compare_masks
from soars_nnunet.profile import Organ, Profile

logger = logging.getLogger(__name__)

SCORED, MISSED, NOT_IN_REFERENCE = "scored", "missed", "not_in_reference"
FALSE_POSITIVE, ABSENT = "false_positive", "absent"
"""The values of ``OrganScore.status``; the last two only where empty organs of the reference are truly absent."""

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
        status: ``"scored"``; ``"missed"``, in the reference but not predicted: ``dsc`` and ``surface_dsc`` are 0
            and there are no distances; ``"not_in_reference"``, nothing to compare with: all scores are None.
            Where empty means absent, organs without a voxel in the reference are ``"false_positive"`` if
            predicted (``dsc`` and ``surface_dsc`` 0, no distances), else ``"absent"`` (no scores).
        dsc: Dice coefficient, 0 to 1.
        hd_mm: Maximum (not 95th percentile) symmetric Hausdorff distance of the surfaces, mm.
        asd_mm: Average symmetric surface distance, mm.
        reference_ml: Volume in the reference, ml; 0 where the organ is not in it.
        predicted_ml: Volume in the prediction, ml.
        hd95_mm: The larger of the 95th percentiles of the surface distances of either direction, mm.
        surface_dsc: Surface DSC at the organ's tolerance, 0 to 1; None also where the profile has no tolerance.
        volume_error: (predicted - reference) / reference volume; -1 where missed.
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
    hd95_mm: float | None = None
    surface_dsc: float | None = None
    volume_error: float | None = None


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


def score_case(
    case: str,
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing_mm: Sequence[float],
    profile: Profile,
    prediction_labels: Mapping[str, int] | None = None,
    reference_labels: Mapping[str, int] | None = None,
    undrawn: Collection[str] = (),
    empty_means_absent: bool = False,
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
        undrawn: Organs (names in the profile) that nobody drew in this case, whatever the reference holds.
        empty_means_absent: An organ of the reference's label list without a voxel is truly absent, so that
            predicting it is wrong. By default it may just not have been drawn, and is left out.

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
    predicted = Labelled(prediction, resolve_labels(prediction_labels, profile)[0])
    values_r = resolve_labels(reference_labels, profile)[0]
    referenced = Labelled(reference, {name: value for name, value in values_r.items() if name not in undrawn})
    _warn_unnamed(f"case '{case}', prediction", predicted, predicted.values, prediction_labels)
    _warn_unnamed(f"case '{case}', reference", referenced, values_r, reference_labels)
    scores = [_score_organ(case, organ, predicted, referenced, spacing_mm) for organ in profile.organs]
    if not empty_means_absent:
        return scores
    drawable = [score.organ in referenced.values for score in scores]
    return [_judge_absent(s, o) if d else s for s, o, d in zip(scores, profile.organs, drawable, strict=True)]


class Labelled:
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


def _warn_unnamed(what: str, volume: Labelled, values: Mapping[str, int], labels: Mapping[str, int] | None) -> None:
    listed = set(values.values() if labels is None else labels.values())
    unnamed = [str(value) for value, box in enumerate(volume.boxes, 1) if box and value not in listed]
    if unnamed:
        logger.warning("%s: values without a name, ignored: %s", what, ", ".join(unnamed))


def _score_organ(
    case: str, organ: Organ, predicted: Labelled, referenced: Labelled, spacing_mm: Sequence[float]
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
    close = None if organ.tolerance_mm is None else 0.0
    if not mask_p.any():
        missed = (MISSED, 0.0, None, None, reference_ml, 0.0, None, close, -1.0)
        return OrganScore(case, organ.name, organ.tier, *missed)
    scores = compare_masks(mask_p, mask_r, spacing_mm, organ.tolerance_mm)
    return OrganScore(
        case,
        organ.name,
        organ.tier,
        SCORED,
        scores.dsc,
        scores.hd_mm,
        scores.asd_mm,
        reference_ml,
        predicted_ml,
        scores.hd95_mm,
        scores.surface_dsc,
        predicted_ml / reference_ml - 1.0,
    )


def _judge_absent(score: OrganScore, organ: Organ) -> OrganScore:
    """An organ that the reference could hold but does not, taken as truly absent."""
    if score.status != NOT_IN_REFERENCE:
        return score
    if score.predicted_ml == 0:
        return replace(score, status=ABSENT)
    close = None if organ.tolerance_mm is None else 0.0
    return replace(score, status=FALSE_POSITIVE, dsc=0.0, surface_dsc=close)
