"""How metrics are titled, rounded and ranked on a page; known ones by ``plans/report.json``, others by their names."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from soars_nnunet.html_report.page import settings

UNITS = ("mm", "ml")
"""Units that the name of a metric may end in; its values have two decimals, others three."""


@dataclass(frozen=True)
class ShownMetric:
    """A metric on the page.

    Attributes:
        key: Its field in the scores.
        title: What the page calls it.
        better: Which values are good: ``"high"``, ``"low"``, ``"zero"``, or None where nobody said; such a metric
            is shown but not ranked.
    """

    key: str
    title: str
    better: str | None

    @property
    def digits(self) -> int:
        """Decimals."""
        return 2 if self.key.rpartition("_")[2] in UNITS else 3

    def badness(self, value: float | None) -> float:
        """Larger for worse values; infinity for none."""
        if value is None:
            return math.inf
        if self.better == "high":
            return -value
        if self.better == "low":
            return value
        return abs(value) if self.better == "zero" else 0.0


def shown_metrics(keys: Iterable[str]) -> list[ShownMetric]:
    """Title and sense of metrics.

    Args:
        keys: Fields of the scores.
    """
    known = settings()["metrics"]
    metrics = []
    for key in keys:
        if key in known:
            metrics.append(ShownMetric(key, known[key]["title"], known[key]["better"]))
        else:
            metrics.append(ShownMetric(key, _title_of(key), "low" if key.endswith("_mm") else None))
    return metrics


def _title_of(key: str) -> str:
    stem, _, unit = key.rpartition("_")
    if stem and unit in UNITS:
        return f"{stem.replace('_', ' ')}, {unit}"
    return key.replace("_", " ")
