"""Scores of many cases, and their summaries by organ, tier and detection target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from soars_nnunet import __version__
from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.metrics import METRICS, TARGET_METRICS
from soars_nnunet.evaluation.organ_scores import ABSENT, FALSE_POSITIVE, MISSED, NOT_IN_REFERENCE, OrganScore
from soars_nnunet.profile import TIERS

AVERAGE = "Average"
"""Name of the last row of the detection targets."""


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
        std = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return cls(len(values), mean, std)


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
            means absent (they then count with DSC 0), else perhaps organs that are not annotated (left out).
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

    def summary(self, metric: str) -> Summary:
        """Summary of one of ``METRICS``."""
        found: Summary = getattr(self, metric)
        return found


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
        metrics: Those of ``METRICS`` that were measured; files of earlier versions have fewer.
        version: Version of the package that scored; empty if the file does not say.
        unusable: Why cases were left out: a file that cannot be read or holds no labels, a sentence each.
        warnings: What is doubtful about the scores, a sentence each.
        sha256: What the scores were made from: ``profile``, and by case the files ``prediction`` and ``reference``.
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
    metrics: tuple[str, ...] = tuple(METRICS)
    version: str = __version__
    unusable: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    sha256: dict[str, Any] = field(default_factory=dict, hash=False, compare=False)

    def cases(self) -> list[str]:
        """Names of the cases, in the order of the scores."""
        names: dict[str, None] = {}
        for score in self.scores + self.targets:
            names[score.case] = None
        return list(names)

    def by_organ(self) -> dict[str, list[OrganScore]]:
        """Scores by organ, in the profile's order."""
        groups: dict[str, list[OrganScore]] = {}
        for score in self.scores:
            groups.setdefault(score.organ, []).append(score)
        return groups

    def by_target(self) -> dict[str, list[TargetScore]]:
        """Scores by detection target, in the profile's order."""
        groups: dict[str, list[TargetScore]] = {}
        for score in self.targets:
            groups.setdefault(score.target, []).append(score)
        return groups

    def measured_target_metrics(self) -> list[str]:
        """Those of ``TARGET_METRICS`` that any target has a value of."""
        return [metric for metric in TARGET_METRICS if known_values(self.targets, metric)]

    def per_organ(self) -> list[SummaryRow]:
        """One row an organ, in the profile's order: each metric over the cases that have it; empty without scores."""
        return [_organ_row(organ, scores) for organ, scores in self.by_organ().items()]

    def per_tier(self) -> list[SummaryRow]:
        """One row a tier that has organs, then ``"all"``.

        As in the paper's tables, a mean is the mean over organs of the per-organ means, so each organ
        weighs the same however many cases have it. ``n`` is the number of organs averaged, ``std`` the
        spread of the organs' means; ``missed``, ``not_in_reference`` and ``extra`` are sums over organs.
        """
        organs = self.per_organ()
        rows = []
        for tier in TIERS:
            members = [row for row in organs if row.tier == tier]
            if members:
                rows.append(_tier_row(tier, members))
        if organs:
            rows.append(_tier_row("all", organs))
        return rows

    def per_target(self) -> dict[str, dict[str, Summary]]:
        """Summaries by target and metric over the cases, then ``Average``: over the targets' means, as in table 7."""
        rows: dict[str, dict[str, Summary]] = {}
        for target, scores in self.by_target().items():
            rows[target] = {metric: Summary.of(known_values(scores, metric)) for metric in TARGET_METRICS}
        if rows:
            rows[AVERAGE] = {metric: _over_targets(rows, metric) for metric in TARGET_METRICS}
        return rows


def known_values(scores: Iterable[OrganScore | TargetScore], metric: str) -> list[float]:
    """Values of a metric, of those scores that have one.

    Args:
        scores: Of organs or of targets.
        metric: One of ``METRICS`` or of ``TARGET_METRICS``.
    """
    values = []
    for score in scores:
        value = getattr(score, metric)
        if value is not None:
            values.append(value)
    return values


def _organ_row(organ: str, scores: Sequence[OrganScore]) -> SummaryRow:
    missed = absent = extra = 0
    for score in scores:
        missed += score.status == MISSED
        absent += score.status in (NOT_IN_REFERENCE, ABSENT)
        extra += score.status in (NOT_IN_REFERENCE, FALSE_POSITIVE) and score.predicted_ml > 0
    return SummaryRow(
        name=organ,
        tier=scores[0].tier,
        dsc=Summary.of(known_values(scores, "dsc")),
        hd_mm=Summary.of(known_values(scores, "hd_mm")),
        asd_mm=Summary.of(known_values(scores, "asd_mm")),
        missed=missed,
        not_in_reference=absent,
        hd95_mm=Summary.of(known_values(scores, "hd95_mm")),
        surface_dsc=Summary.of(known_values(scores, "surface_dsc")),
        volume_error=Summary.of(known_values(scores, "volume_error")),
        extra=extra,
    )


def _tier_row(name: str, organs: Sequence[SummaryRow]) -> SummaryRow:
    missed = absent = extra = 0
    for row in organs:
        missed += row.missed
        absent += row.not_in_reference
        extra += row.extra
    return SummaryRow(
        name=name,
        tier=name,
        dsc=_over_organs(organs, "dsc"),
        hd_mm=_over_organs(organs, "hd_mm"),
        asd_mm=_over_organs(organs, "asd_mm"),
        missed=missed,
        not_in_reference=absent,
        hd95_mm=_over_organs(organs, "hd95_mm"),
        surface_dsc=_over_organs(organs, "surface_dsc"),
        volume_error=_over_organs(organs, "volume_error"),
        extra=extra,
    )


def _over_organs(organs: Iterable[SummaryRow], metric: str) -> Summary:
    return _summary_of_means([row.summary(metric) for row in organs])


def _over_targets(targets: Mapping[str, Mapping[str, Summary]], metric: str) -> Summary:
    return _summary_of_means([row[metric] for row in targets.values()])


def _summary_of_means(summaries: Iterable[Summary]) -> Summary:
    """Summary of the means of several summaries, of those that have one."""
    means = []
    for summary in summaries:
        if summary.mean is not None:
            means.append(summary.mean)
    return Summary.of(means)
