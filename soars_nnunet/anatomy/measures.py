"""Where an organ of a case lies and how large it is: all that checks of anatomy need of a label map."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OrganMeasure:
    """An organ's contour in one case.

    Attributes:
        center_mm: Centre of mass in the patient's LPS frame: x grows to the left, y to the back, z to the head.
        volume_ml: More than 0.
        is_whole: Whether no voxel lies on a face of the scan, where contours are cut.
    """

    center_mm: tuple[float, float, float]
    volume_ml: float
    is_whole: bool
