"""What a training case shows of the detection targets: its contours, without what is not annotated, and heat maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from soars_nnunet.cascade.classes import branch_labels, target_labels
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.stored_cases import load_preprocessed, read_channels
from soars_nnunet.geometry.grid import Grid
from soars_nnunet.geometry.organ_centers import organ_centers_mm
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.images.network_frame import to_network_frame


@dataclass(frozen=True)
class DetectedCase:
    """A training case and what detection made of it out of fold.

    Attributes:
        name: Of the case.
        labels: (Z, Y, X) int32 of the source dataset, in the network's frame; 0 where an organ is not annotated.
        spacing_mm: (3,) voxel size (Z, Y, X).
        centers_mm: (T, 3) true centres of the targets from the middle of the first voxel; NaN without a voxel,
            or where an organ of the target is not annotated.
        heatmaps: (T, z, y, x) float32 on the detection network's grid.
        grid: Where the heat maps lie.
    """

    name: str
    labels: np.ndarray
    spacing_mm: np.ndarray
    centers_mm: np.ndarray
    heatmaps: np.ndarray
    grid: Grid


def organs_not_annotated(cascade: Cascade) -> dict[str, list[str]]:
    """By case, the small & hard organs that are not annotated; only cases that have any."""
    ours: set[str] = set()
    for _, organs in branch_labels(cascade, "detection"):
        ours.update(organs)
    found = {}
    for case, organs in cascade.not_annotated.items():
        lacking = [name for name in organs if name in ours]
        if lacking:
            found[case] = lacking
    return found


def targets_not_annotated(cascade: Cascade, case: str) -> list[int]:
    """Rows of the targets of which some organ is not wholly annotated: their centre and extent are unknown."""
    lacking = {*cascade.not_annotated.get(case, ()), *cascade.partly_annotated.get(case, ())}
    rows = []
    for row, (_, organs) in enumerate(branch_labels(cascade, "detection")):
        if not lacking.isdisjoint(organs):
            rows.append(row)
    return rows


def annotated_labels(cascade: Cascade, case: str, path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    """Labels of a case and their geometry.

    Args:
        cascade: The stratified dataset.
        case: Its name.
        path: Its label map.

    Returns:
        (Z, Y, X) int32 in the network's frame, without voxels of small & hard organs that are not annotated, and
        the properties of ``to_network_frame``.
    """
    array, properties = to_network_frame(read_label_map(path))
    labels = array[0].astype(np.int32)
    lacking = organs_not_annotated(cascade).get(case, ())
    labels[np.isin(labels, [cascade.labels[name] for name in lacking])] = 0
    return labels, properties


def read_detected_case(
    cascade: Cascade, plans: str, case: str, labels: np.ndarray, *, spacing_mm: np.ndarray
) -> DetectedCase:
    """Put a case's labels and its stored heat maps together.

    Args:
        cascade: The stratified dataset, with out-of-fold heat maps.
        plans: Plans of the detection branch.
        case: Its name.
        labels: (Z, Y, X) of ``annotated_labels``.
        spacing_mm: (3,) their voxel size (Z, Y, X).

    Raises:
        MissingArtifactError: If the heat maps are missing.
    """
    heatmaps = read_channels(cascade.channels("detection", plans), case).astype(np.float32)
    _, _, preprocessed = load_preprocessed(cascade.data("detection", plans), case)
    centers_mm = organ_centers_mm(labels, list(target_labels(cascade).values()), spacing_mm.tolist())
    centers_mm[targets_not_annotated(cascade, case)] = np.nan
    return DetectedCase(
        name=case,
        labels=labels,
        spacing_mm=spacing_mm,
        centers_mm=centers_mm,
        heatmaps=heatmaps,
        grid=Grid.from_properties(preprocessed, heatmaps.shape[1:]),
    )
