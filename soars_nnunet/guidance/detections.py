"""How well the detection branch finds its targets out of fold (paper tables 2 and 7).

A target is found at its heat map's peak. Axes: heat maps (T, z, y, x), positions and spacings (Z, Y, X).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.distance import directed_hausdorff

from soars_nnunet.cascade.classes import target_labels
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.raw_cases import training_cases
from soars_nnunet.cascade.record import DETECTIONS, Cascade
from soars_nnunet.cascade.storage import read_json, replacing
from soars_nnunet.cascade.stored_cases import load_preprocessed, read_channels
from soars_nnunet.evaluation.mean_std import format_mean_std
from soars_nnunet.geometry.grid import Grid
from soars_nnunet.geometry.heatmaps import gaussian_heatmaps, heatmap_peaks
from soars_nnunet.geometry.organ_centers import organ_centers_mm
from soars_nnunet.guidance.targets import drawn_labels, open_targets, undrawn_organs
from soars_nnunet.progress import Progress, silent

NUM_BRIGHTEST = 1000
"""Voxels kept of a heat map before two of them are compared (paper, supplement to table 7)."""


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


def score_detections(cascade: Cascade, plans: str, progress: Progress = silent) -> list[DetectionScore]:
    """Score the stored out-of-fold heat maps of all training cases.

    Args:
        cascade: The stratified dataset.
        plans: Plans of the detection branch.
        progress: Receives one line per case.

    Returns:
        By case, then by target; targets whose organs are not all drawn are left out.

    Raises:
        MissingArtifactError: If a case's heat maps are missing.
    """
    cases = training_cases(cascade.source, read_json(raw_folder() / cascade.source / "dataset.json"))
    undrawn, targets = undrawn_organs(cascade), target_labels(cascade)
    sigma_mm = PlansFile.read(cascade.plans("detection", plans)).settings.sigma_mm
    scores = []
    for index, (case, (_, label)) in enumerate(sorted(cases.items()), 1):
        progress(f"detections [{index}/{len(cases)}] {case}")
        labels, properties = drawn_labels(label, cascade, undrawn.get(case, ()))
        spacing = np.asarray(properties["spacing"])
        centers_mm = organ_centers_mm(labels, list(targets.values()), spacing)
        centers_mm[open_targets(cascade, undrawn.get(case, ()))] = np.nan
        heatmaps = read_channels(cascade.channels("detection", plans), case).astype(np.float32)
        _, _, preprocessed = load_preprocessed(cascade.data("detection", plans), case)
        grid = Grid.from_properties(preprocessed, heatmaps.shape[1:])
        positions, heights = heatmap_peaks(heatmaps)
        for row, target in enumerate(targets):
            if np.isfinite(centers_mm[row]).all():
                distance_mm = np.linalg.norm(grid.to_image(positions[row]) * spacing - centers_mm[row])
                truth = _true_heatmap(grid, centers_mm[row], sigma_mm)
                hd_mm = brightest_hd_mm(heatmaps[row], truth, grid.spacing_mm)
                scores.append(DetectionScore(str(case), target, float(heights[row]), float(distance_mm), hd_mm))
    return scores


def _true_heatmap(grid: Grid, center_mm: np.ndarray, sigma_mm: float) -> np.ndarray:
    """Gaussian (z, y, x) at a true centre (3,), mm of the image grid."""
    own_mm = grid.to_network(center_mm / grid.image_spacing_mm) * grid.spacing_mm
    axes = [torch.arange(n, dtype=torch.float32) * mm for n, mm in zip(grid.shape, grid.spacing_mm, strict=True)]
    positions_mm = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    return gaussian_heatmaps(positions_mm[None], torch.from_numpy(own_mm)[None, None], sigma_mm)[0, 0].numpy()


def brightest_hd_mm(
    first: np.ndarray, second: np.ndarray, spacing_mm: Sequence[float], count: int = NUM_BRIGHTEST
) -> float:
    """Maximum Hausdorff distance between the brightest voxels of two maps.

    Args:
        first: (Z, Y, X).
        second: Of the same shape.
        spacing_mm: Voxel size (Z, Y, X).
        count: How many voxels of each map are kept; of equal voxels the first ones.

    Returns:
        mm between voxel centres; 0 where both have the same brightest voxels.

    Raises:
        ValueError: If the shapes differ or there are no voxels.
    """
    if first.shape != second.shape or first.ndim != 3 or not first.size:
        raise ValueError(f"expected two maps (Z, Y, X) of one shape, got {first.shape} and {second.shape}")
    points = []
    for heatmap in (first, second):
        values = heatmap.ravel()
        lowest = np.partition(values, -count)[-count] if count < values.size else values.min()
        above = np.flatnonzero(values > lowest)
        chosen = np.concatenate((above, np.flatnonzero(values == lowest)[: count - above.size]))
        points.append(np.stack(np.unravel_index(chosen, heatmap.shape), axis=1) * np.asarray(spacing_mm))
    forth, back = directed_hausdorff(*points)[0], directed_hausdorff(*points[::-1])[0]
    return float(max(forth, back))


def summarise_detections(scores: Sequence[DetectionScore]) -> dict[str, dict[str, Any]]:
    """Mean and standard deviation by target and over all (``Average``: mean of the targets' means, as in table 7).

    Returns:
        Rows with ``n``, ``distance_mm`` and ``hd_mm``, each (mean, standard deviation or None); empty without scores.
    """
    groups: dict[str, list[DetectionScore]] = {}
    for score in scores:
        groups.setdefault(score.target, []).append(score)
    rows = {
        target: {"n": len(group), **{m: _moments([getattr(s, m) for s in group]) for m in ("distance_mm", "hd_mm")}}
        for target, group in groups.items()
    }
    if rows:
        means = {m: _moments([row[m][0] for row in rows.values()]) for m in ("distance_mm", "hd_mm")}
        return {**rows, "Average": {"n": len(rows), **means}}
    return rows


def _moments(values: Sequence[float]) -> tuple[float, float | None]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else None


def format_detections(scores: Sequence[DetectionScore], spacing_mm: Sequence[float]) -> list[str]:
    """One line a target, then their average, then what the HD is of; none without scores.

    Args:
        scores: Of all cases.
        spacing_mm: Voxel size (Z, Y, X) of the heat maps.
    """
    lines = [
        f"{target:16} n {row['n']:3}   distance {_pm(row['distance_mm'])} mm   HD {_pm(row['hd_mm'])} mm"
        for target, row in summarise_detections(scores).items()
    ]
    voxel = " x ".join(f"{mm:g}" for mm in spacing_mm)
    return [*lines, f"HD of the {NUM_BRIGHTEST} brightest voxels of {voxel} mm (Z, Y, X)"] if lines else []


def detection_spacing_mm(cascade: Cascade, plans: str) -> list[float]:
    """Voxel size (Z, Y, X) of the heat maps, in mm."""
    spacing: list[float] = PlansFile.read(cascade.plans("detection", plans)).configuration["spacing"]
    return spacing


def _pm(moments: tuple[float, float | None]) -> str:
    mean, deviation = moments
    return format_mean_std(mean, deviation, width=5)


def write_detections(cascade: Cascade, plans: str, scores: Sequence[DetectionScore]) -> Path:
    """Write a row per case and target as CSV beside the heat maps."""
    table = io.StringIO()
    writer = csv.DictWriter(table, [field.name for field in fields(DetectionScore)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(score) for score in scores)
    path = cascade.channels("detection", plans) / DETECTIONS
    with replacing(path) as temporary:
        temporary.write_text(table.getvalue(), encoding="utf-8")
    return path
