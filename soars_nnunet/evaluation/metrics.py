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
        unit: Of the values, as ``mm``; empty for shares, 1 for the whole: nothing is shown in per cent.
        higher_is_better: Else less is better; a volume error counts by its size.
    """

    title: str
    unit: str
    higher_is_better: bool = False

    @property
    def digits(self) -> int:
        """Decimals in tables: a thousandth of a share, a tenth of a mm."""
        return 1 if self.unit else 3

    @property
    def heading(self) -> str:
        """Title and unit."""
        return f"{self.title} {self.unit}".strip()

    @property
    def in_words(self) -> str:
        """The unit for a title."""
        return f"unit: {self.unit}" if self.unit else "as a share, 1 for the whole"


METRICS = {
    "dsc": Metric("DSC", "", higher_is_better=True),
    "hd_mm": Metric("HD", "mm"),
    "asd_mm": Metric("ASD", "mm"),
    "hd95_mm": Metric("HD95", "mm"),
    "surface_dsc": Metric("Surface DSC", "", higher_is_better=True),
    "volume_error": Metric("Volume error", ""),
}
"""Of organs, by the field of ``OrganScore``; in the order of files and tables."""

TARGET_METRICS = {
    "distance_mm": Metric("Dist", "mm"),
    "detected_mm": Metric("Detected dist", "mm"),
    "hd_mm": Metric("HD", "mm"),
}
"""Of detection targets, by the field of ``TargetScore``."""
