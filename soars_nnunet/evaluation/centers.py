"""How far detection targets are from where they should be, in label volumes and in a prediction's report.

Axes: label volumes (Z, Y, X), centres and spacings (Z, Y, X), mm from the centre of voxel (0, 0, 0).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet.evaluation.case_volumes import CaseVolumes, LabelledVolume
from soars_nnunet.evaluation.organ_scores import MISSED, NOT_IN_REFERENCE, SCORED
from soars_nnunet.geometry.organ_centers import organ_centers_mm
from soars_nnunet.profile import Profile


@dataclass(frozen=True)
class TargetScore:
    """One detection target in one case.

    Attributes:
        case: Case name.
        target: Name in the profile.
        status: ``"scored"``; ``"missed"``, none of its organs was predicted: no ``distance_mm``; or
            ``"not_in_reference"``, not all of its organs are in the reference: no distances.
        distance_mm: From the centre of mass of the target's predicted organs to that of the reference's.
        detected_mm: From the centre that the detection branch found, as the prediction's report says, to the
            reference's; None without a report, or where the target was not found.
        hd_mm: Maximum Hausdorff distance of the 1000 brightest voxels of the predicted and the true heat map;
            None but for what soars-channels scored.
    """

    case: str
    target: str
    status: str
    distance_mm: float | None
    detected_mm: float | None = None
    hd_mm: float | None = None


def score_targets(
    volumes: CaseVolumes, profile: Profile, detected_mm: Mapping[str, np.ndarray] | None = None
) -> list[TargetScore]:
    """Score every detection target of the profile in one case.

    Args:
        volumes: Prediction and reference, integer labels on one grid, and the names of their labels.
        profile: Organs and their targets.
        detected_mm: Centre (Z, Y, X) by target that the detection branch found.

    Returns:
        One score a target, in the profile's order; none for a profile without targets.
    """
    if not profile.targets:
        return []
    detected_mm = detected_mm or {}
    truth_mm = _reference_centers_mm(volumes, profile)
    values = volumes.predicted_values(profile)
    groups = {target: _values_of(target, profile, values) for target in truth_mm}
    predicted_mm = _centers_mm(volumes.predicted, groups, volumes.spacing_mm)
    scores = []
    for target in profile.targets:
        if target not in truth_mm:
            scores.append(TargetScore(volumes.case, target, NOT_IN_REFERENCE, None))
            continue
        distance = _distance_mm(predicted_mm[target], truth_mm[target])
        found = _distance_mm(detected_mm.get(target), truth_mm[target])
        status = MISSED if distance is None else SCORED
        scores.append(TargetScore(volumes.case, target, status, distance, found))
    return scores


def reported_centers_mm(report: Path, image: sitk.Image) -> dict[str, np.ndarray]:
    """Centres that the detection branch found, from the report beside a predicted label volume.

    Args:
        report: JSON as soars-cascade-predict writes it.
        image: Image (or its header) whose grid the centres are put on.

    Returns:
        Centre (3,) by target; empty where there is no such report or it has no targets.
    """
    try:
        targets = json.loads(report.read_text(encoding="utf-8"))["targets"]
        return _found_centers_mm(targets, image)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):  # another program's JSON
        return {}


def _found_centers_mm(targets: Mapping[str, Mapping[str, Any]], image: sitk.Image) -> dict[str, np.ndarray]:
    """Reported centres, from the patient's coordinates (x, y, z) to mm along the grid's axes (Z, Y, X)."""
    spacing_mm = np.asarray(image.GetSpacing()[::-1])
    centers = {}
    for target, row in targets.items():
        if row["status"] in ("not_found", "absent") or not row["center_mm"]:
            continue
        point = [float(mm) for mm in row["center_mm"]]
        if len(point) != 3 or not np.isfinite(point).all():
            raise ValueError(f"{target}: expected a centre of three numbers, got {point}")
        index = image.TransformPhysicalPointToContinuousIndex(point)
        centers[target] = np.asarray(index)[::-1] * spacing_mm
    return centers


def _reference_centers_mm(volumes: CaseVolumes, profile: Profile) -> dict[str, np.ndarray]:
    """Centre by target in the reference; only of targets all of whose organs are in it."""
    values = volumes.reference_values(profile)
    reference = LabelledVolume(volumes.reference, values)
    groups = {}
    for target, organs in profile.targets.items():
        if all(reference.box(organ.name) for organ in organs):
            groups[target] = _values_of(target, profile, values)
    return _centers_mm(volumes.reference, groups, volumes.spacing_mm)


def _values_of(target: str, profile: Profile, values: Mapping[str, int]) -> list[int]:
    """Labels of a target's organs, of those that have one."""
    names = [organ.name for organ in profile.targets[target]]
    return [values[name] for name in names if name in values]


def _centers_mm(
    labels: np.ndarray, groups: Mapping[str, Sequence[int]], spacing_mm: Sequence[float]
) -> dict[str, np.ndarray]:
    """Centre (3,) of the voxels of each group of labels; NaN where it has none."""
    centers = organ_centers_mm(labels, list(groups.values()), spacing_mm)
    return dict(zip(groups, centers, strict=True))


def _distance_mm(center_mm: np.ndarray | None, truth_mm: np.ndarray) -> float | None:
    if center_mm is None or not np.isfinite(center_mm).all():
        return None
    return float(np.linalg.norm(center_mm - truth_mm))
