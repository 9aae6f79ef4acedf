"""Several methods on the same cases: who is best where, and whether two of them differ.

Methods are compared on what all of them have: the cases of all, and for each organ and metric the cases
in which every method has a value. Organs that a method misses so count in DSC and surface DSC (0) and in the
volume error (-1), but no method's distances are averaged over easier cases than another's.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.metrics import OrganScore
from soars_nnunet.evaluation.scores import METRICS, TARGET_METRICS, Evaluation
from soars_nnunet.profile import TIERS

logger = logging.getLogger(__name__)

HIGHER_IS_BETTER = frozenset({"dsc", "surface_dsc"})
"""Of the others less is better; a volume error counts by its size."""

SAME_REFERENCE = 0.01
"""Relative difference of an organ's reference volume above which two evaluations had other references."""

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


def align(methods: Mapping[str, Evaluation]) -> dict[str, Evaluation]:
    """Reduce evaluations to what all of them can be compared on.

    Args:
        methods: Evaluation by name of the method.

    Returns:
        The same with the common cases and organs only, in the first one's order; a score that one method
        lacks is None in all. Cases that are not common are logged.

    Raises:
        InputError: If there is no common case, the references differ, or empty organs were judged in two ways.
    """
    if len({e.empty_means_absent for e in methods.values()}) > 1:
        raise InputError(
            "expected methods evaluated alike, got --empty-means-absent with some of them only; evaluate again"
        )
    tables = {name: {(s.case, s.organ): s for s in e.scores} for name, e in methods.items()}
    targets = {name: {(s.case, s.target): s for s in e.targets} for name, e in methods.items()}
    keys, target_keys = (
        [k for k in next(iter(t.values())) if all(k in o for o in t.values())] for t in (tables, targets)
    )
    if not keys and not target_keys:
        raise InputError("expected methods evaluated on the same cases, got none in common; compare like with like")
    _log_left_out(methods, {case for case, _ in (*keys, *target_keys)})
    rows: dict[str, list[OrganScore]] = {name: [] for name in methods}
    for key in keys:
        group = [table[key] for table in tables.values()]
        _check_reference(group, list(methods))
        lacking = {m: None for m in METRICS if any(getattr(score, m) is None for score in group)}
        for name, score in zip(rows, group, strict=True):
            rows[name].append(replace(score, **lacking))
    found = {}
    for name, evaluation in methods.items():
        common = []
        for key in target_keys:
            lacking = {m: None for m in TARGET_METRICS if any(getattr(t[key], m) is None for t in targets.values())}
            common.append(replace(targets[name][key], **lacking))
        found[name] = replace(evaluation, scores=tuple(rows[name]), targets=tuple(common))
    return found


def winners(aligned: Mapping[str, Evaluation], metric: str) -> dict[str, tuple[str, ...]]:
    """The best methods of every organ.

    Args:
        aligned: From ``align``.
        metric: One of ``METRICS``.

    Returns:
        Names of the methods of the best mean by organ; equal ones share the place. For distances the method that
        misses the organ in fewer cases is the better one whatever its distances; nobody where there is no value.
    """
    found: dict[str, tuple[str, ...]] = {}
    rows = {name: {row.name: row for row in e.per_organ()} for name, e in aligned.items()}
    for organ in next(iter(rows.values()), {}):
        keys = {name: _rank(metric, _values(aligned[name], metric, organ), rows[name][organ].missed) for name in rows}
        best = min(keys.values())
        unknown = not _values(next(iter(aligned.values())), metric, organ) and len(set(keys.values())) == 1
        found[organ] = () if unknown else tuple(name for name, key in keys.items() if key == best)
    return found


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
    one, two = aligned[first], aligned[second]
    rows: list[PairedRow] = []
    for metric in METRICS:
        organs = list(dict.fromkeys(score.organ for score in one.scores))
        for group, names in (("organ", organs), ("tier", [*TIERS, "all"])):
            pairs = {n: (_by_case(one, metric, group, n), _by_case(two, metric, group, n)) for n in names}
            rows += _test(metric, group, first, second, pairs)
    for metric in TARGET_METRICS:
        names = list(dict.fromkeys(score.target for score in one.targets))
        pairs = {n: tuple(_of_target(e, metric, n) for e in (one, two)) for n in names}
        rows += _test(metric, "target", first, second, pairs)
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
    ranks = rankdata(np.abs(kept))
    return float((np.sign(kept) * ranks).sum() / ranks.sum()) if kept.size else 0.0


def _test(
    metric: str,
    group: str,
    first: str,
    second: str,
    pairs: Mapping[str, tuple[dict[str, float], dict[str, float]]],
) -> list[PairedRow]:
    from scipy.stats import false_discovery_control, wilcoxon  # a second to import, in every worker

    rows = []
    for name, (ours, theirs) in pairs.items():
        a, b = np.array([*ours.values()]), np.array([theirs[case] for case in ours])
        if not a.size:
            continue
        change = np.where(np.abs(b - a) > NO_DIFFERENCE, b - a, 0.0)
        p = float(wilcoxon(change[change != 0]).pvalue) if change.any() else 1.0
        effect = rank_biserial(change) * (1 if metric in HIGHER_IS_BETTER else -1)
        means = (float(a.mean()), float(b.mean()), float(change.mean()), float(np.median(change)))
        rows.append(PairedRow(metric, name, group, first, second, a.size, *means, p, None, effect + 0.0))
    corrected = false_discovery_control([row.p for row in rows]) if rows else ()
    return [replace(row, q=float(q)) for row, q in zip(rows, corrected, strict=True)]


def _by_case(evaluation: Evaluation, metric: str, group: str, name: str) -> dict[str, float]:
    """Value of an organ by case, or mean over the organs of a tier."""
    values: dict[str, list[float]] = {}
    for score in evaluation.scores:
        value = getattr(score, metric)
        if value is not None and name in ((score.organ,) if group == "organ" else (score.tier, "all")):
            values.setdefault(score.case, []).append(abs(value))
    return {case: float(np.mean(v)) for case, v in values.items()}


def _of_target(evaluation: Evaluation, metric: str, name: str) -> dict[str, float]:
    return {s.case: v for s in evaluation.targets if s.target == name and (v := getattr(s, metric)) is not None}


def _values(evaluation: Evaluation, metric: str, organ: str) -> list[float]:
    return [abs(v) for s in evaluation.scores if s.organ == organ and (v := getattr(s, metric)) is not None]


def _rank(metric: str, values: Sequence[float], missed: int) -> tuple[int, float]:
    """Sorts the better method first; without values only the misses count."""
    mean = float(np.mean(values)) if values else 0.0
    return (0, -mean) if metric in HIGHER_IS_BETTER else (missed, mean)


def _check_reference(group: Sequence[OrganScore], names: Sequence[str]) -> None:
    volumes = [score.reference_ml for score in group]
    if max(volumes) - min(volumes) > SAME_REFERENCE * max(volumes):
        listed = ", ".join(f"{name} {ml:.3f} ml" for name, ml in zip(names, volumes, strict=True))
        raise InputError(
            f"case '{group[0].case}', {group[0].organ}: expected one reference for all methods, got volumes of "
            f"{listed}; evaluate them against the same references"
        )


def _log_left_out(methods: Mapping[str, Evaluation], common: set[str]) -> None:
    for name, evaluation in methods.items():
        others = sorted({score.case for score in (*evaluation.scores, *evaluation.targets)} - common)
        if others:
            logger.warning("%s: cases that not all methods have, left out: %s", name, ", ".join(others))
