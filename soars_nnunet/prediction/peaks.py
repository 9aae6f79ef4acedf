"""Peaks of heat maps: where detection targets are, and whether they are there at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from soars_nnunet.cascade.target_facts import TargetFacts
from soars_nnunet.geometry.heatmaps import heatmap_peaks
from soars_nnunet.prediction.on_grid import OnGrid
from soars_nnunet.prediction.status import Status, target_status


@dataclass(frozen=True)
class Peak:
    """Where a detection target was found.

    Attributes:
        target: Its name in the profile.
        height: Of the heat map there, 0 to 1.
        center_vox: Position (Z, Y, X) in voxels of the image, in the networks' frame; continuous.
        status: Whether the target is there, and wholly.
    """

    target: str
    height: float
    center_vox: tuple[float, float, float]
    status: Status


def read_peaks(
    heatmaps: OnGrid, targets: Sequence[str], facts: Mapping[str, TargetFacts], sigma_mm: float
) -> dict[str, Peak]:
    """Peak of every heat map.

    Args:
        heatmaps: (targets, z, y, x) in 0..1, and their grid.
        targets: Detection target of each heat map.
        facts: What is known of each target out of fold.
        sigma_mm: Standard deviation of the Gaussians that the heat maps were trained on, mm.

    Returns:
        By target, in their order; also of those that are absent.
    """
    positions, heights = heatmap_peaks(heatmaps.values)
    peaks = {}
    for target, position, height in zip(targets, positions, heights, strict=True):
        center = heatmaps.grid.to_image(position)
        status = target_status(
            height,
            _border_mm(center, heatmaps),
            low_confidence_below=facts[target].low_confidence_below,
            near_border_mm=sigma_mm,
        )
        z, y, x = center.tolist()
        peaks[target] = Peak(target=target, height=float(height), center_vox=(z, y, x), status=status)
    return peaks


def _border_mm(center_vox: np.ndarray, heatmaps: OnGrid) -> float:
    """From a position (Z, Y, X) in voxels of the image to its nearest face, mm; a face is half a voxel further out."""
    image_shape = np.asarray(heatmaps.grid.image_shape)
    to_faces_vox = np.minimum(center_vox + 0.5, image_shape - 0.5 - center_vox)
    to_faces_mm = to_faces_vox * np.asarray(heatmaps.grid.image_spacing_mm)
    return float(to_faces_mm.min())
