"""What is said of an organ and of a detection target: found, not found, absent, cut, or of low confidence.

All five statuses are decided here and nowhere else; no torch here.
"""

from __future__ import annotations

from typing import Literal, get_args

Status = Literal["found", "not_found", "absent", "cut_by_field_of_view", "low_confidence"]
"""What reports say; the words on disk."""

STATUSES: tuple[Status, ...] = get_args(Status)

NOT_FOUND_FRACTION = 0.5
"""A target whose peak is below this part of the low-confidence height is not looked for; ours."""

MISSING: tuple[Status, ...] = ("not_found", "absent")
"""Of an organ without a voxel."""


def target_status(height: float, border_mm: float, *, low_confidence_below: float, near_border_mm: float) -> Status:
    """Status of a detection target, by its peak.

    Args:
        height: Of the peak, 0 to 1.
        border_mm: From the peak to the nearest border of the scan, mm.
        low_confidence_below: Height under which detections are of low confidence: the 1st percentile of the target's
            out-of-fold peaks.
        near_border_mm: A peak nearer to the border than this may lie outside the scan: the heat maps' sigma.

    Returns:
        ``not_found`` before ``cut_by_field_of_view`` before ``low_confidence``, else ``found``.
    """
    if height < NOT_FOUND_FRACTION * low_confidence_below:
        return "not_found"
    if border_mm < near_border_mm:
        return "cut_by_field_of_view"
    if height < low_confidence_below:
        return "low_confidence"
    return "found"


def organ_status(
    voxels: int, touches_border: bool, target: Status | None = None, *, outside_scan: bool = False
) -> Status:
    """Status of an organ, by its label in the final volume.

    Args:
        voxels: How many the organ has.
        touches_border: Whether one of them lies on a face of the scan.
        target: Status of the organ's detection target; None for an organ without one.
        outside_scan: Whether the organ's place, seen from the organs that were found, lies outside the scan.

    Returns:
        Without a voxel ``absent`` if the scan cannot hold the organ, else ``not_found``; ``cut_by_field_of_view`` at
        the border, else the target's, or ``found``.
    """
    if voxels == 0:
        return "absent" if outside_scan else "not_found"
    if touches_border:
        return "cut_by_field_of_view"
    return target or "found"
