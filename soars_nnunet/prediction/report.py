"""What a prediction says of each organ and target: volume, status and confidence, centre."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from soars_nnunet.anatomy.volumes import VolumeFlag
from soars_nnunet.cascade.stored_model import BundleFacts
from soars_nnunet.geometry.stitch import Candidate
from soars_nnunet.prediction.peaks import Peak
from soars_nnunet.prediction.status import MISSING, Status, organ_status
from soars_nnunet.profile import Organ
from soars_nnunet.schemas.printable import escaped


@dataclass(frozen=True)
class OrganRow:
    """What is said of an organ.

    Attributes:
        label: In the label volume.
        tier: Of the profile.
        volume_ml: 0 or more, to 0.001 ml.
        status: Whether it was found, and wholly.
        confidence: Height of its target's peak, or else the mean probability inside the organ, 0 to 1, to 0.001;
            None for an organ without a voxel.
        training_ml: 5th and 95th percentile of its volumes in the training cases, ml; None, and not in the JSON, where
            they are not known.
        volume_flag: ``far_below_training`` or ``far_above_training``; None, and not in the JSON, where neither holds.
    """

    label: int
    tier: str
    volume_ml: float
    status: Status
    confidence: float | None
    training_ml: list[float] | None = None
    volume_flag: VolumeFlag | None = None

    def to_json(self) -> dict[str, Any]:
        """As it is stored."""
        data = asdict(self)
        for key in ("training_ml", "volume_flag"):
            if data[key] is None:
                del data[key]
        return data


@dataclass(frozen=True)
class TargetRow:
    """What is said of a detection target.

    Attributes:
        center_mm: Position of its peak (x, y, z) in the scan's LPS frame, to 0.01 mm.
        peak: Height of the heat map there, 0 to 1, to 0.001.
        status: Whether it is there, and wholly.
    """

    center_mm: list[float]
    peak: float
    status: Status


@dataclass(frozen=True)
class ModelRow:
    """Which networks of a branch were averaged: the name of the model folder or bundle, and the folds."""

    name: str
    folds: list[int]


@dataclass(frozen=True)
class Report:
    """Everything that is said of a CT's prediction; the fields' names and order are those of the JSON on disk.

    Attributes:
        case: Case name.
        profile: Name of the profile.
        labels: Label by organ name in the volume, background first.
        organs: By name, in the profile's order.
        targets: By detection target; empty without a small & hard tier.
        largest_part: Organs of which only the largest part was kept.
        warnings: For the user, a sentence each.
        models: By branch.
        provenance: Versions that shaped the cascade.
        seconds: Wall time by stage, to 0.01 s.
        bundle: Which bundle the networks are of; None, and not in the JSON, for a training's model folders.
    """

    case: str
    profile: str
    labels: dict[str, int]
    organs: dict[str, OrganRow]
    targets: dict[str, TargetRow]
    largest_part: list[str]
    warnings: list[str]
    models: dict[str, ModelRow]
    provenance: dict[str, str]
    seconds: dict[str, float]
    bundle: BundleFacts | None = None

    def to_json(self) -> dict[str, Any]:
        """As it is stored, without the hashes of what the prediction depends on."""
        data = asdict(self)
        data["organs"] = {name: organ.to_json() for name, organ in self.organs.items()}
        if self.bundle is None:
            del data["bundle"]
        return data

    def summary(self) -> str:
        """How many organs have which status, how long it took, and each warning on a line of its own."""
        counts: dict[str, int] = {}
        for organ in self.organs.values():
            counts[organ.status] = counts.get(organ.status, 0) + 1
        text = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.items())
        lines = [f"  {self.case}: {text} in {sum(self.seconds.values()):.1f} s"]
        for warning in self.warnings:
            lines.append(f"  warning: {warning}")
        return "\n".join(escaped(line) for line in lines)


def organ_rows(
    labels: torch.Tensor,
    spacing_mm: Sequence[float],
    organs: Sequence[Organ],
    peaks: Mapping[str, Peak],
    *,
    tiers: Mapping[str, Candidate],
    outside_scan: Collection[str] = (),
) -> dict[str, OrganRow]:
    """Report rows by organ name.

    Args:
        labels: (Z, Y, X) final label volume.
        spacing_mm: Voxel size (Z, Y, X).
        organs: Organs that the cascade predicts; at least one.
        peaks: By detection target.
        tiers: Candidates of the anchor and mid-level tiers, for the mean probability inside an organ.
        outside_scan: Organs that the scan cannot hold.
    """
    highest = max(organ.label for organ in organs)
    voxels = torch.bincount(labels.flatten(), minlength=highest + 1).tolist()
    touching = _labels_at_border(labels)
    means = {}
    for tier, candidate in tiers.items():
        means[tier] = _mean_probability(labels, candidate, highest)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    rows = {}
    for organ in organs:
        peak = peaks.get(organ.target or "")
        status = organ_status(
            voxels[organ.label],
            organ.label in touching,
            peak.status if peak else None,
            outside_scan=organ.name in outside_scan,
        )
        confidence = peak.height if peak else float(means[organ.tier][organ.label])
        rows[organ.name] = OrganRow(
            label=organ.label,
            tier=organ.tier,
            volume_ml=round(float(voxels[organ.label]) * voxel_ml, 3),
            status=status,
            confidence=None if status in MISSING else round(confidence, 3),
        )
    return rows


def target_rows(peaks: Mapping[str, Peak], stuff: Mapping[str, Any]) -> dict[str, TargetRow]:
    """Detected centres by target.

    Args:
        peaks: By target.
        stuff: The image's ``origin``, ``spacing`` and ``direction`` (x, y, z), in the networks' frame.
    """
    direction = np.reshape(stuff["direction"], (3, 3))
    rows = {}
    for target, peak in peaks.items():
        center_vox = np.array(peak.center_vox[::-1])  # (x, y, z)
        center_mm = np.asarray(stuff["origin"]) + direction @ (center_vox * stuff["spacing"])
        rows[target] = TargetRow(
            center_mm=[round(float(mm), 2) for mm in center_mm],
            peak=round(peak.height, 3),
            status=peak.status,
        )
    return rows


def _labels_at_border(labels: torch.Tensor) -> set[int]:
    """Labels with a voxel on one of the six faces of a volume (Z, Y, X), without the background."""
    found: set[int] = set()
    for axis in range(3):
        for side in (0, -1):
            found.update(labels.select(axis, side).unique().tolist())
    return found - {0}


def _mean_probability(labels: torch.Tensor, tier: Candidate, highest: int) -> np.ndarray:
    """Mean winning probability by label over the voxels where the tier's label prevailed; 0 without voxels."""
    inside = (labels > 0) & (labels == tier.labels.to(labels.device))
    values = labels[inside].cpu().numpy()
    weights = tier.probability[inside.to(tier.probability.device)].cpu().numpy()
    count = np.bincount(values, minlength=highest + 1)
    return np.bincount(values, weights=weights, minlength=highest + 1) / np.maximum(count, 1)
