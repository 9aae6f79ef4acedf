"""Whether two methods differ: paired tests over the same cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.metrics import METRICS, TARGET_METRICS
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.profile import TIERS

NO_DIFFERENCE = 1e-12
"""A difference below it is none: rounding of the last bits."""


@dataclass(frozen=True)
class PairedRow:
    """One metric of two methods on the same cases.

    Attributes:
        metric: One of ``METRICS``, or of ``TARGET_METRICS`` for detection targets.
        name: Organ, tier, ``"all"`` or detection target.
        group: ``"organ"``, ``"tier"`` or ``"target"``.
        first: Name of the method compared with.
        second: Name of the other method.
        n: Cases. Of a tier a case counts once, with the mean over its organs.
        first_mean: Mean of the first method (of a volume error: of its size).
        second_mean: The same of the second.
        difference: Mean of second minus first; None without cases.
        median_difference: Median of second minus first.
        p: Two-sided Wilcoxon signed-rank test; 1 if no case differs, None without cases.
        q: ``p`` corrected for the number of rows of the same metric and group (Benjamini-Hochberg).
        effect: Matched-pairs rank-biserial correlation, -1 to 1; positive where the second method is better.
    """

    metric: str
    name: str
    group: str
    first: str
    second: str
    n: int
    first_mean: float | None
    second_mean: float | None
    difference: float | None
    median_difference: float | None
    p: float | None
    q: float | None
    effect: float | None


@dataclass(frozen=True)
class _Family:
    """Tests that are corrected together for their number.

    Attributes:
        metric: One of ``METRICS`` or of ``TARGET_METRICS``.
        group: ``"organ"``, ``"tier"`` or ``"target"``.
        names: Organs, tiers or targets.
    """

    metric: str
    group: str
    names: tuple[str, ...]

    @property
    def higher_is_better(self) -> bool:
        metrics = TARGET_METRICS if self.group == "target" else METRICS
        return metrics[self.metric].higher_is_better


def paired_rows(aligned: Mapping[str, Evaluation], first: str, second: str) -> list[PairedRow]:
    """Compare two methods metric by metric.

    Args:
        aligned: From ``align``.
        first: Method compared with.
        second: The other one.

    Returns:
        By metric: a row an organ, then a row a tier and ``"all"``; then by target metric a row a target.
        Rows without any case are left out.
    """
    organs = tuple(aligned[first].by_organ())
    targets = tuple(aligned[first].by_target())
    families = []
    for metric in METRICS:
        families.append(_Family(metric, "organ", organs))
        families.append(_Family(metric, "tier", (*TIERS, "all")))
    for metric in TARGET_METRICS:
        families.append(_Family(metric, "target", targets))
    rows = []
    for family in families:
        rows += _test_family(aligned, first, second, family)
    return rows


def rank_biserial(differences: np.ndarray) -> float:
    """Matched-pairs rank-biserial correlation: (sum of positive ranks - of negative ones) / sum of all.

    Args:
        differences: (N,) paired differences; zeros are dropped.

    Returns:
        -1 to 1; 0 if nothing differs.
    """
    from scipy.stats import rankdata

    kept = differences[np.abs(differences) > NO_DIFFERENCE]
    if not kept.size:
        return 0.0
    ranks = rankdata(np.abs(kept))
    return float((np.sign(kept) * ranks).sum() / ranks.sum())


def _test_family(aligned: Mapping[str, Evaluation], first: str, second: str, family: _Family) -> list[PairedRow]:
    from scipy.stats import false_discovery_control  # a second to import, in every worker

    rows = []
    for name in family.names:
        values = _values_by_case(aligned[first], family, name)
        others = _values_by_case(aligned[second], family, name)
        if not values:
            continue
        before = np.array(list(values.values()))
        after = np.array([others[case] for case in values])
        change = after - before
        change[np.abs(change) <= NO_DIFFERENCE] = 0.0
        row = PairedRow(
            metric=family.metric,
            name=name,
            group=family.group,
            first=first,
            second=second,
            n=before.size,
            first_mean=float(before.mean()),
            second_mean=float(after.mean()),
            difference=float(change.mean()),
            median_difference=float(np.median(change)),
            p=_wilcoxon_p(change),
            q=None,
            effect=_effect(change, family.higher_is_better),
        )
        rows.append(row)
    if not rows:
        return []
    corrected = false_discovery_control([row.p for row in rows])
    return [replace(row, q=float(q)) for row, q in zip(rows, corrected, strict=True)]


def _wilcoxon_p(change: np.ndarray) -> float:
    """Two-sided p of the signed-rank test of paired differences (N,); 1 if all are 0."""
    from scipy.stats import wilcoxon

    changed = change[change != 0]
    return float(wilcoxon(changed).pvalue) if changed.size else 1.0


def _effect(change: np.ndarray, higher_is_better: bool) -> float:
    effect = rank_biserial(change)
    return effect if higher_is_better else 0.0 - effect  # never -0.0


def _values_by_case(evaluation: Evaluation, family: _Family, name: str) -> dict[str, float]:
    """Value of an organ or target by case, or mean over the organs of a tier; signed values by their size."""
    values: dict[str, list[float]] = {}
    for score in _members(evaluation, family.group, name):
        value = getattr(score, family.metric)
        if value is not None:
            values.setdefault(score.case, []).append(abs(value))
    return {case: float(np.mean(of_case)) for case, of_case in values.items()}


def _members(evaluation: Evaluation, group: str, name: str) -> Sequence[OrganScore | TargetScore]:
    """Scores of one organ, tier or target."""
    if group == "target":
        return [score for score in evaluation.targets if score.target == name]
    if group == "organ":
        return [score for score in evaluation.scores if score.organ == name]
    return [score for score in evaluation.scores if name in (score.tier, "all")]
