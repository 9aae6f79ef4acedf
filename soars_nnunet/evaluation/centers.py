"""How far detection targets are from where they should be, in label volumes and in a prediction's report.

Axes: label volumes (Z, Y, X), centres and spacings (Z, Y, X), mm from the centre of voxel (0, 0, 0).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from soars_nnunet.evaluation.metrics import MISSED, NOT_IN_REFERENCE, SCORED, resolve_labels
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
            reference's; None without a report, or where the target was found absent.
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
    case: str,
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing_mm: Sequence[float],
    profile: Profile,
    prediction_labels: Mapping[str, int] | None = None,
    reference_labels: Mapping[str, int] | None = None,
    undrawn: Collection[str] = (),
    detected_mm: Mapping[str, np.ndarray] | None = None,
) -> list[TargetScore]:
    """Score every detection target of the profile in one case.

    Args:
        case: Name that the scores carry.
        prediction: Integer labels, (Z, Y, X).
        reference: Integer labels, (Z, Y, X), on the same grid.
        spacing_mm: Voxel spacing (Z, Y, X), mm.
        profile: Organs and their targets.
        prediction_labels: Label value by name in the prediction; None for the profile's labels.
        reference_labels: The same of the reference.
        undrawn: Organs (names in the profile) that nobody drew in this case.
        detected_mm: Centre (Z, Y, X) by target that the detection branch found.

    Returns:
        One score a target, in the profile's order; none for a profile without targets.
    """
    if not profile.targets:
        return []
    values_p, values_r = (resolve_labels(labels, profile)[0] for labels in (prediction_labels, reference_labels))
    values_r = {name: value for name, value in values_r.items() if name not in undrawn}
    names = {target: [organ.name for organ in organs] for target, organs in profile.targets.items()}
    complete = [target for target, organs in names.items() if all(name in values_r for name in organs)]
    truth = _centers(reference, {t: [[values_r[n]] for n in names[t]] for t in complete}, spacing_mm)
    whole = {t: [[values_r[n] for n in names[t]]] for t, found in truth.items() if np.isfinite(found).all()}
    truth = {target: rows[0] for target, rows in _centers(reference, whole, spacing_mm).items()}
    predicted = _centers(prediction, {t: [[values_p[n] for n in names[t] if n in values_p]] for t in truth}, spacing_mm)
    scores = []
    for target in names:
        if target not in truth:
            scores.append(TargetScore(case, target, NOT_IN_REFERENCE, None))
            continue
        distance = _distance(predicted[target][0], truth[target])
        found = _distance((detected_mm or {}).get(target), truth[target])
        scores.append(TargetScore(case, target, MISSED if distance is None else SCORED, distance, found))
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
        centers = {t: row["center_mm"] for t, row in targets.items() if row["status"] != "absent" and row["center_mm"]}
        spacing_mm = np.asarray(image.GetSpacing()[::-1])
        return {
            target: np.asarray(image.TransformPhysicalPointToContinuousIndex([float(mm) for mm in center]))[::-1]
            * spacing_mm
            for target, center in centers.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # another program's JSON of that name
        return {}


def _centers(
    labels: np.ndarray, groups: Mapping[str, Sequence[Sequence[int]]], spacing_mm: Sequence[float]
) -> dict[str, np.ndarray]:
    """Centres (number of its groups, 3) by target."""
    rows = organ_centers_mm(labels, [group for lists in groups.values() for group in lists], spacing_mm)
    starts = np.cumsum([len(lists) for lists in groups.values()])[:-1]
    return dict(zip(groups, np.split(rows, starts), strict=True)) if groups else {}


def _distance(center_mm: np.ndarray | None, truth_mm: np.ndarray) -> float | None:
    if center_mm is None or not np.isfinite(center_mm).all():
        return None
    return float(np.linalg.norm(center_mm - truth_mm))
