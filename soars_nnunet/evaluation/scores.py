"""Scores of many cases, their summaries, and the JSON that holds them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from soars_nnunet import __version__
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.metrics import ABSENT, FALSE_POSITIVE, MISSED, NOT_IN_REFERENCE, SCORED, OrganScore
from soars_nnunet.profile import TIERS

METRICS = ("dsc", "hd_mm", "asd_mm", "hd95_mm", "surface_dsc", "volume_error")
TARGET_METRICS = ("distance_mm", "detected_mm", "hd_mm")


@dataclass(frozen=True)
class Summary:
    """One metric over several values.

    Attributes:
        n: Number of values.
        mean: Their mean; None without values.
        std: Their sample standard deviation (n - 1); None below two values.
    """

    n: int
    mean: float | None
    std: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Summary:
        """Summarise values; an empty sequence gives n 0 and no mean."""
        mean = float(np.mean(values)) if values else None
        return cls(len(values), mean, float(np.std(values, ddof=1)) if len(values) > 1 else None)


@dataclass(frozen=True)
class SummaryRow:
    """Summary of an organ over cases, or of a tier over organs.

    Attributes:
        name: Organ, tier or ``"all"``.
        tier: Tier of the row, ``"all"`` for the last one.
        dsc: Dice coefficient; missed organs count as 0.
        hd_mm: Maximum Hausdorff distance, mm; without missed organs, so read it beside ``missed``.
        asd_mm: Average symmetric surface distance, mm; without missed organs.
        missed: How often an organ of the reference was not predicted.
        not_in_reference: How often there was nothing to compare with.
        hd95_mm: 95th percentile Hausdorff distance, mm; without missed organs.
        surface_dsc: Surface DSC at the organ's tolerance; missed organs count as 0.
        volume_error: Signed relative volume error; missed organs count as -1.
        extra: How often an organ was predicted that the reference does not have: false positives where empty
            means absent (they then count with DSC 0), else perhaps organs that nobody drew (left out).
    """

    name: str
    tier: str
    dsc: Summary
    hd_mm: Summary
    asd_mm: Summary
    missed: int
    not_in_reference: int
    hd95_mm: Summary
    surface_dsc: Summary
    volume_error: Summary
    extra: int


@dataclass(frozen=True)
class Evaluation:
    """Scores of all cases and what could not be compared.

    Attributes:
        scores: One per case and organ, by case, then in the profile's order.
        profile: Name of the profile.
        prediction: Folder or file that was evaluated.
        reference: Folder or file it was compared with.
        unknown_in_prediction: Label names of the prediction that the profile does not know.
        unknown_in_reference: The same of the reference.
        not_predictable: Organs of the profile without a label in the prediction's list: they count as missed.
        predictions_without_reference: Cases that were left out.
        references_without_prediction: Cases that were left out because that was allowed.
        targets: One per case and detection target.
        paper_names: Row names of the paper's tables by organ; an organ without one goes by its own name.
        empty_means_absent: Whether empty organs of the reference were taken as truly absent.
    """

    scores: tuple[OrganScore, ...]
    profile: str = ""
    prediction: str = ""
    reference: str = ""
    unknown_in_prediction: tuple[str, ...] = ()
    unknown_in_reference: tuple[str, ...] = ()
    not_predictable: tuple[str, ...] = ()
    predictions_without_reference: tuple[str, ...] = ()
    references_without_prediction: tuple[str, ...] = ()
    targets: tuple[TargetScore, ...] = ()
    paper_names: dict[str, str] = field(default_factory=dict, hash=False)
    empty_means_absent: bool = False

    def per_organ(self) -> list[SummaryRow]:
        """One row an organ, in the profile's order: each metric over the cases that have it; empty without scores."""
        groups: dict[str, list[OrganScore]] = {}
        for score in self.scores:
            groups.setdefault(score.organ, []).append(score)
        return [self._organ_row(organ, group) for organ, group in groups.items()]

    @staticmethod
    def _organ_row(organ: str, group: Sequence[OrganScore]) -> SummaryRow:
        values = {m: Summary.of([v for s in group if (v := getattr(s, m)) is not None]) for m in METRICS}
        missed, absent = (sum(s.status in these for s in group) for these in ((MISSED,), (NOT_IN_REFERENCE, ABSENT)))
        unasked = sum(s.status in (NOT_IN_REFERENCE, FALSE_POSITIVE) and s.predicted_ml > 0 for s in group)
        return SummaryRow(organ, group[0].tier, **values, missed=missed, not_in_reference=absent, extra=unasked)

    def per_tier(self) -> list[SummaryRow]:
        """One row a tier that has organs, then ``"all"``.

        As in the paper's tables, a mean is the mean over organs of the per-organ means, so each organ
        weighs the same however many cases have it. ``n`` is the number of organs averaged, ``std`` the
        spread of the organs' means; ``missed``, ``not_in_reference`` and ``extra`` are sums over organs.
        """
        organs = self.per_organ()
        rows = []
        for name in (*TIERS, "all"):
            group = [row for row in organs if name in ("all", row.tier)]
            if group:
                values = {
                    m: Summary.of([mean for row in group if (mean := getattr(row, m).mean) is not None])
                    for m in METRICS
                }
                counts = {c: sum(getattr(row, c) for row in group) for c in ("missed", "not_in_reference", "extra")}
                rows.append(SummaryRow(name, name, **values, **counts))
        return rows

    def per_target(self) -> dict[str, dict[str, Summary]]:
        """Summaries by target and metric over the cases, then ``Average``: over the targets' means, as in table 7."""
        groups: dict[str, list[TargetScore]] = {}
        for score in self.targets:
            groups.setdefault(score.target, []).append(score)
        rows = {
            target: {m: Summary.of([v for s in group if (v := getattr(s, m)) is not None]) for m in TARGET_METRICS}
            for target, group in groups.items()
        }
        if rows:
            means = {m: [row[m].mean for row in rows.values()] for m in TARGET_METRICS}
            rows["Average"] = {m: Summary.of([v for v in values if v is not None]) for m, values in means.items()}
        return rows

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form with summaries and versions; ``read_evaluation`` reads it back from a file."""
        return {
            "provenance": {"package": "soars_nnunet", "version": __version__},
            **asdict(self),
            "per_organ": [asdict(row) for row in self.per_organ()],
            "per_tier": [asdict(row) for row in self.per_tier()],
            "per_target": {t: {m: asdict(s) for m, s in row.items()} for t, row in self.per_target().items()},
        }


def read_evaluation(path: Path) -> Evaluation:
    """Read what soars-evaluate or soars-cross-validate wrote, or the detections that soars-channels scored.

    Args:
        path: ``evaluation.json``, a folder that holds it, or a ``detections.csv`` (then there are only targets).

    Returns:
        The evaluation; summaries are computed anew.

    Raises:
        InputError: If there is no such file, or it is something else.
    """
    path = Path(path)
    file = path / "evaluation.json" if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{path}: expected an evaluation.json, its folder or a detections.csv; run soars-evaluate")
    try:
        return _read_detections(file) if file.suffix == ".csv" else _from_dict(read_json(file))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{file}: expected what soars-evaluate or soars-channels writes, got a problem with {error}; evaluate again"
        ) from error


def _from_dict(data: dict[str, Any]) -> Evaluation:
    known = {entry.name for entry in fields(Evaluation)}
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items() if k in known}
    values["scores"] = tuple(OrganScore(**row) for row in data["scores"])
    values["targets"] = tuple(TargetScore(**row) for row in data.get("targets", ()))
    return Evaluation(**values)


def _read_detections(file: Path) -> Evaluation:
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    found = [(row["case"], row["target"], float(row["distance_mm"]), float(row["hd_mm"])) for row in rows]
    return Evaluation((), targets=tuple(TargetScore(c, t, SCORED, None, mm, hd) for c, t, mm, hd in found))
