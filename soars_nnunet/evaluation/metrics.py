"""The metrics of an evaluation as data: their order, names, units, and which values are good.

What a metric measures is in surface.py (organs) and centers.py (detection targets). A new metric is a field
of ``OrganScore`` and of ``SummaryRow``, and a line here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """How a metric is shown and judged.

    Attributes:
        title: Heading in the tables.
        unit: Unit in the tables.
        scale: Factor from the stored value to that unit.
        higher_is_better: Else less is better; a volume error counts by its size.
    """

    title: str
    unit: str
    scale: float = 1.0
    higher_is_better: bool = False


METRICS = {
    "dsc": Metric("DSC", "%", 100.0, higher_is_better=True),
    "hd_mm": Metric("HD", "mm"),
    "asd_mm": Metric("ASD", "mm"),
    "hd95_mm": Metric("HD95", "mm"),
    "surface_dsc": Metric("Surface DSC", "%", 100.0, higher_is_better=True),
    "volume_error": Metric("Volume error", "%", 100.0),
}
"""Of organs, by the field of ``OrganScore``; in the order of files and tables."""

TARGET_METRICS = {
    "distance_mm": Metric("Dist", "mm"),
    "detected_mm": Metric("Detected dist", "mm"),
    "hd_mm": Metric("HD", "mm"),
}
"""Of detection targets, by the field of ``TargetScore``."""
