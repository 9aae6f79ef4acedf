"""How well the detection branch finds its targets out of fold (paper tables 2 and 7).

A target is found at its heat map's peak. Axes: heat maps (T, z, y, x), positions and spacings (Z, Y, X).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
import torch

from soars_nnunet.cascade.classes import target_labels
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import DETECTIONS, Cascade
from soars_nnunet.cascade.source_cases import source_cases
from soars_nnunet.cascade.storage import write_text
from soars_nnunet.evaluation.mean_std import format_mean_std
from soars_nnunet.geometry.grid import Grid
from soars_nnunet.geometry.heatmaps import gaussian_heatmaps, heatmap_peaks
from soars_nnunet.guidance.brightest import NUM_BRIGHTEST, brightest_hd_mm
from soars_nnunet.guidance.targets import DetectedCase, annotated_labels, read_detected_case
from soars_nnunet.progress import Progress, silent
from soars_nnunet.schemas.printable import cell

AVERAGE = "Average"
"""Row of all targets."""


@dataclass(frozen=True)
class DetectionScore:
    """A target in a case, found by the fold that did not train on it.

    Attributes:
        case: Case name.
        target: Detection target.
        peak: Height of the predicted heat map.
        distance_mm: From the peak to the true centre.
        hd_mm: Maximum Hausdorff distance between the 1000 brightest voxels of the predicted and of the
            true heat map, on the network's grid.
    """

    case: str
    target: str
    peak: float
    distance_mm: float
    hd_mm: float


@dataclass(frozen=True)
class Spread:
    """Mean of some values, and their standard deviation; None of a single value."""

    mean: float
    std: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        std = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return cls(float(np.mean(values)), std)

    def __str__(self) -> str:
        return format_mean_std(self.mean, self.std, width=5)


@dataclass(frozen=True)
class DetectionSummary:
    """A target in all cases, or all targets.

    Attributes:
        n: Cases, or targets.
        distance_mm: From the peaks to the true centres.
        hd_mm: As ``DetectionScore.hd_mm``.
    """

    n: int
    distance_mm: Spread
    hd_mm: Spread


def score_detections(cascade: Cascade, plans: str, progress: Progress = silent) -> list[DetectionScore]:
    """Score the stored out-of-fold heat maps of all training cases.

    Args:
        cascade: The stratified dataset.
        plans: Plans of the detection branch.
        progress: Receives one line per case.

    Returns:
        By case, then by target; targets whose organs are not all annotated are left out.

    Raises:
        MissingArtifactError: If a case's heat maps are missing.
    """
    cases = source_cases(cascade)
    targets = list(target_labels(cascade))
    sigma_mm = PlansFile.read(cascade.plans("detection", plans)).settings.sigma_mm
    scores = []
    for index, (case, files) in enumerate(sorted(cases.items()), 1):
        progress(f"detections [{index}/{len(cases)}] {case}")
        labels, properties = annotated_labels(cascade, case, files.labels)
        spacing_mm = np.asarray(properties["spacing"])
        detected = read_detected_case(cascade, plans, case, labels, spacing_mm=spacing_mm)
        scores += _score_case(detected, targets, sigma_mm)
    return scores


def _score_case(detected: DetectedCase, targets: Sequence[str], sigma_mm: float) -> list[DetectionScore]:
    grid = detected.grid
    positions, heights = heatmap_peaks(detected.heatmaps)
    scores = []
    for row, target in enumerate(targets):
        center_mm = detected.centers_mm[row]
        if not np.isfinite(center_mm).all():
            continue
        peak_mm = grid.to_image(positions[row]) * detected.spacing_mm
        truth = _true_heatmap(grid, center_mm, sigma_mm)
        score = DetectionScore(
            case=detected.name,
            target=target,
            peak=float(heights[row]),
            distance_mm=float(np.linalg.norm(peak_mm - center_mm)),
            hd_mm=brightest_hd_mm(detected.heatmaps[row], truth, grid.spacing_mm),
        )
        scores.append(score)
    return scores


def _true_heatmap(grid: Grid, center_mm: np.ndarray, sigma_mm: float) -> np.ndarray:
    """Gaussian (z, y, x) at a true centre (3,), mm of the image grid."""
    own_mm = grid.to_network(center_mm / grid.image_spacing_mm) * grid.spacing_mm
    axes = []
    for size, mm in zip(grid.shape, grid.spacing_mm, strict=True):
        axes.append(torch.arange(size, dtype=torch.float32) * mm)
    positions_mm = torch.stack(torch.meshgrid(axes, indexing="ij"))
    return gaussian_heatmaps(positions_mm[None], torch.from_numpy(own_mm)[None, None], sigma_mm)[0, 0].numpy()


def summarise_detections(scores: Sequence[DetectionScore]) -> dict[str, DetectionSummary]:
    """Mean and standard deviation by target and over all (``Average``: mean of the targets' means, as in table 7).

    Returns:
        By target, ``Average`` last; empty without scores.
    """
    groups: dict[str, list[DetectionScore]] = {}
    for score in scores:
        groups.setdefault(score.target, []).append(score)
    rows = {}
    for target, group in groups.items():
        rows[target] = DetectionSummary(
            n=len(group),
            distance_mm=Spread.of([score.distance_mm for score in group]),
            hd_mm=Spread.of([score.hd_mm for score in group]),
        )
    if rows:
        rows[AVERAGE] = DetectionSummary(
            n=len(groups),
            distance_mm=Spread.of([row.distance_mm.mean for row in rows.values()]),
            hd_mm=Spread.of([row.hd_mm.mean for row in rows.values()]),
        )
    return rows


def format_detections(scores: Sequence[DetectionScore], spacing_mm: Sequence[float]) -> list[str]:
    """One line a target, then their average, then what the HD is of; none without scores.

    Args:
        scores: Of all cases.
        spacing_mm: Voxel size (Z, Y, X) of the heat maps.
    """
    lines = []
    for target, row in summarise_detections(scores).items():
        lines.append(f"{target:16} n {row.n:3}   distance {row.distance_mm} mm   HD {row.hd_mm} mm")
    if lines:
        voxel = " x ".join(f"{mm:g}" for mm in spacing_mm)
        lines.append(f"HD of the {NUM_BRIGHTEST} brightest voxels of {voxel} mm (Z, Y, X)")
    return lines


def detection_spacing_mm(cascade: Cascade, plans: str) -> list[float]:
    """Voxel size (Z, Y, X) of the heat maps, in mm."""
    return PlansFile.read(cascade.plans("detection", plans)).spacing_mm


def write_detections(cascade: Cascade, plans: str, scores: Sequence[DetectionScore]) -> Path:
    """Write a row per case and target as CSV beside the heat maps."""
    table = io.StringIO()
    writer = csv.DictWriter(table, [field.name for field in fields(DetectionScore)], lineterminator="\n")
    writer.writeheader()
    for score in scores:
        writer.writerow({name: cell(value) for name, value in asdict(score).items()})
    path = cascade.channels("detection", plans) / DETECTIONS
    write_text(path, table.getvalue())
    return path
