"""Scores of one case, organ by organ.

Everything is cropped to one organ first. What a score means is in surface.py, what becomes of empty organs
in ``OrganScore``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from soars_nnunet.evaluation.case_volumes import Box, CaseVolumes, LabelledVolume, label_volume, resolve_labels
from soars_nnunet.evaluation.surface import compare_masks
from soars_nnunet.profile import Organ, Profile

logger = logging.getLogger(__name__)

SCORED, MISSED, NOT_IN_REFERENCE = "scored", "missed", "not_in_reference"
FALSE_POSITIVE, ABSENT = "false_positive", "absent"
"""The values of ``OrganScore.status``; the last two only where empty organs of the reference are truly absent."""

MM3_PER_ML = 1000.0


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


def score_case(volumes: CaseVolumes, profile: Profile, empty_means_absent: bool = False) -> list[OrganScore]:
    """Score every organ of the profile in one case.

    An organ with ``composite`` in the profile is compared as the union of those organs in both
    volumes; whether the reference has it depends on the organ itself.

    Args:
        volumes: Prediction and reference on one grid, and the names of their labels.
        profile: Organs to score.
        empty_means_absent: An organ of the reference's label list without a voxel is truly absent, so that
            predicting it is wrong. By default it may be not annotated, and is left out.

    Returns:
        One score an organ, in the profile's order, also where both volumes are empty. Values that no
        name has are ignored with a warning.

    Raises:
        ValueError: On different shapes, a spacing that is not positive, values that are no labels,
            or label names that contradict each other.
    """
    predicted, reference = _labelled(volumes, profile)
    scores = []
    for organ in profile.organs:
        score = _score_organ(volumes, organ, predicted, reference)
        if empty_means_absent and organ.name in reference.values:
            score = _judge_absent(score, organ)
        scores.append(score)
    return scores


def _labelled(volumes: CaseVolumes, profile: Profile) -> tuple[LabelledVolume, LabelledVolume]:
    """Prediction and reference, checked."""
    where = f"case '{volumes.case}'"
    prediction = label_volume(volumes.predicted, f"{where}, prediction")
    reference = label_volume(volumes.reference, f"{where}, reference")
    if prediction.shape != reference.shape:
        raise ValueError(
            f"{where}: expected volumes of one shape, got prediction {prediction.shape} and reference "
            f"{reference.shape}; resample one of them"
        )
    spacing_mm = volumes.spacing_mm
    if len(spacing_mm) != 3 or not all(np.isfinite(mm) and mm > 0 for mm in spacing_mm):
        raise ValueError(
            f"{where}: expected a spacing (Z, Y, X) above 0 mm, got {tuple(spacing_mm)}; correct the header"
        )
    labelled_p = LabelledVolume(prediction, volumes.predicted_values(profile))
    labelled_r = LabelledVolume(reference, volumes.reference_values(profile))
    _warn_unnamed(f"{where}, prediction", labelled_p, volumes.predicted_labels, profile)
    _warn_unnamed(f"{where}, reference", labelled_r, volumes.reference_labels, profile)
    return labelled_p, labelled_r


def _warn_unnamed(what: str, volume: LabelledVolume, labels: Mapping[str, int] | None, profile: Profile) -> None:
    """Log the values in a volume that its label list does not name."""
    named = resolve_labels(None, profile)[0] if labels is None else labels
    listed = set(named.values())
    unnamed = [str(value) for value, box in enumerate(volume.boxes, 1) if box and value not in listed]
    if unnamed:
        logger.warning("%s: values without a name, ignored: %s", what, ", ".join(unnamed))


def _score_organ(
    volumes: CaseVolumes, organ: Organ, predicted: LabelledVolume, reference: LabelledVolume
) -> OrganScore:
    nothing = OrganScore(
        case=volumes.case,
        organ=organ.name,
        tier=organ.tier,
        status=NOT_IN_REFERENCE,
        dsc=None,
        hd_mm=None,
        asd_mm=None,
        reference_ml=0.0,
        predicted_ml=0.0,
    )
    parts = organ.composite or (organ.name,)
    box = _common_box(parts, predicted, reference)
    if box is None:
        return nothing
    voxel_ml = float(np.prod(np.asarray(volumes.spacing_mm, dtype=np.float64))) / MM3_PER_ML
    mask_p = predicted.mask(parts, box)
    mask_r = reference.mask(parts, box)
    predicted_ml = float(np.count_nonzero(mask_p) * voxel_ml)
    reference_ml = float(np.count_nonzero(mask_r) * voxel_ml)
    if reference.box(organ.name) is None:
        return replace(nothing, predicted_ml=predicted_ml)
    if not mask_p.any():
        missed = _without_overlap(nothing, organ, status=MISSED)
        return replace(missed, reference_ml=reference_ml, volume_error=-1.0)
    found = compare_masks(mask_p, mask_r, volumes.spacing_mm, organ.tolerance_mm)
    return replace(
        nothing,
        status=SCORED,
        dsc=found.dsc,
        hd_mm=found.hd_mm,
        asd_mm=found.asd_mm,
        reference_ml=reference_ml,
        predicted_ml=predicted_ml,
        hd95_mm=found.hd95_mm,
        surface_dsc=found.surface_dsc,
        volume_error=predicted_ml / reference_ml - 1.0,
    )


def _common_box(parts: Sequence[str], predicted: LabelledVolume, reference: LabelledVolume) -> Box | None:
    """Bounding box of the organs in both volumes; None if neither has any."""
    common: Box | None = None
    for volume in (predicted, reference):
        for part in parts:
            box = volume.box(part)
            if box is not None:
                common = box if common is None else _union(common, box)
    return common


def _union(first: Box, second: Box) -> Box:
    axes = []
    for one, two in zip(first, second, strict=True):
        axes.append(slice(min(one.start, two.start), max(one.stop, two.stop)))
    return tuple(axes)


def _judge_absent(score: OrganScore, organ: Organ) -> OrganScore:
    """An organ that the reference could hold but does not, taken as truly absent."""
    if score.status != NOT_IN_REFERENCE:
        return score
    if score.predicted_ml == 0:
        return replace(score, status=ABSENT)
    return _without_overlap(score, organ, status=FALSE_POSITIVE)


def _without_overlap(score: OrganScore, organ: Organ, status: str) -> OrganScore:
    """An organ that only one of the volumes has: no overlap, and no distances."""
    surface_dsc = None if organ.tolerance_mm is None else 0.0
    return replace(score, status=status, dsc=0.0, surface_dsc=surface_dsc)
