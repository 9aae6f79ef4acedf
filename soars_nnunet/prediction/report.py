"""What a prediction says of each organ and target: volume, status and confidence, centre."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from soars_nnunet.geometry.stitch import Candidate
from soars_nnunet.profile import Organ

STATUSES = ("found", "absent", "cut_by_field_of_view", "low_confidence")


def organ_rows(
    labels: torch.Tensor,
    spacing_mm: Sequence[float],
    organs: Sequence[Organ],
    peaks: dict[str, dict[str, Any]],
    tiers: dict[str, Candidate],
) -> dict[str, dict[str, Any]]:
    """Report rows by organ name.

    Args:
        labels: (Z, Y, X) final label volume.
        spacing_mm: Voxel size (Z, Y, X).
        organs: Organs that the cascade predicts.
        peaks: By detection target: ``height`` and ``status``.
        tiers: Candidates of the anchor and mid-level tiers, for the mean probability inside an organ.

    Returns:
        Label, tier, volume in ml, status (one of ``STATUSES``) and confidence: the peak's height for
        small & hard organs, else the mean probability inside the organ; None for an absent organ.
    """
    highest = max(organ.label for organ in organs)
    voxels = torch.bincount(labels.flatten(), minlength=highest + 1).tolist()
    touching = _labels_at_border(labels)
    means = {tier: _mean_probability(labels, candidate, highest) for tier, candidate in tiers.items()}
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    rows = {}
    for organ in organs:
        peak = peaks.get(organ.target or "")
        status = peak["status"] if peak else "found"
        if voxels[organ.label] == 0:
            status = "absent"
        elif organ.label in touching:
            status = "cut_by_field_of_view"
        confidence = peak["height"] if peak else float(means[organ.tier][organ.label])
        rows[organ.name] = {
            "label": organ.label,
            "tier": organ.tier,
            "volume_ml": round(float(voxels[organ.label]) * voxel_ml, 3),
            "status": status,
            "confidence": None if status == "absent" else round(confidence, 3),
        }
    return rows


def target_rows(peaks: dict[str, dict[str, Any]], stuff: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Detected centres by target.

    Args:
        peaks: By target: ``height``, ``center_vox`` (Z, Y, X), ``status``.
        stuff: The image's ``origin``, ``spacing`` and ``direction`` (x, y, z).

    Returns:
        By target: centre in LPS mm (x, y, z), peak height and status.
    """
    direction = np.reshape(stuff["direction"], (3, 3))
    rows = {}
    for target, peak in peaks.items():
        center_mm = np.asarray(stuff["origin"]) + direction @ (np.array(peak["center_vox"][::-1]) * stuff["spacing"])
        rows[target] = {
            "center_mm": [round(float(mm), 2) for mm in center_mm],
            "peak": round(peak["height"], 3),
            "status": peak["status"],
        }
    return rows


def _labels_at_border(labels: torch.Tensor) -> set[int]:
    faces = [labels.select(axis, side) for axis in range(3) for side in (0, -1)]
    return {value for face in faces for value in face.unique().tolist()} - {0}


def _mean_probability(labels: torch.Tensor, tier: Candidate, highest: int) -> np.ndarray:
    """Mean winning probability by label over the voxels where the tier's label prevailed; 0 without voxels."""
    inside = (labels > 0) & (labels == tier.labels.to(labels.device))
    values = labels[inside].cpu().numpy()
    weights = tier.probability[inside.to(tier.probability.device)].cpu().numpy()
    count = np.bincount(values, minlength=highest + 1)
    return np.bincount(values, weights=weights, minlength=highest + 1) / np.maximum(count, 1)
