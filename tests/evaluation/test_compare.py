"""Alignment, wins and paired tests on crafted scores; expected values by hand or by enumeration."""

import itertools
import logging
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import rankdata

from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.compare import align, paired_rows, rank_biserial, winners
from soars_nnunet.evaluation.metrics import OrganScore
from soars_nnunet.evaluation.scores import Evaluation


def score(case, organ, dsc=0.5, hd_mm=4.0, tier="anchor", **more):
    status = "scored" if hd_mm is not None else "missed"
    return OrganScore(case, organ, tier, status, dsc, hd_mm, hd_mm, 1.0, 1.0, **more)


def method(values, **more):
    """Evaluation from (case, organ, dsc, hd)."""
    return Evaluation(tuple(score(*row) for row in values), **more)


def by_key(rows):
    return {(row.metric, row.name): row for row in rows}


def test_only_common_cases_and_distances_are_compared(caplog):
    a = method([("1", "A", 0.8, 2.0), ("2", "A", 0.6, 4.0), ("3", "A", 0.1, 90.0)])
    b = method([("2", "A", 0.0, None), ("1", "A", 0.7, 3.0)])
    with caplog.at_level(logging.WARNING):
        aligned = align({"a": a, "b": b})
    assert "a: cases that not all methods have, left out: 3" in caplog.text
    rows = {name: evaluation.per_organ()[0] for name, evaluation in aligned.items()}
    assert (rows["a"].dsc.n, rows["a"].dsc.mean) == (2, pytest.approx(0.7))
    assert (rows["b"].dsc.n, rows["b"].dsc.mean) == (2, pytest.approx(0.35))  # the missed organ counts as 0
    assert (rows["a"].hd_mm.n, rows["a"].hd_mm.mean) == (1, 2.0)  # b has no distance in case 2
    assert (rows["a"].missed, rows["b"].missed) == (0, 1)


def test_other_references_are_refused():
    a, b = method([("1", "A")]), method([("1", "A")])
    b = replace(b, scores=(replace(b.scores[0], reference_ml=1.1),))
    with pytest.raises(InputError, match="case '1', A: expected one reference for all methods"):
        align({"a": a, "b": b})
    with pytest.raises(InputError, match="none in common"):
        align({"a": a, "b": method([("2", "A")])})
    with pytest.raises(InputError, match="evaluated alike"):
        align({"a": a, "b": replace(a, empty_means_absent=True)})


def test_wins_share_ties_and_put_misses_before_distances():
    a = method([("1", "A", 0.8, 2.0), ("2", "A", 0.0, None), ("1", "B", 0.5, 5.0), ("1", "C", 0.0, None)])
    b = method([("1", "A", 0.5, 3.0), ("2", "A", 0.5, 9.0), ("1", "B", 0.5, 4.0), ("1", "C", 0.0, None)])
    aligned = align({"a": a, "b": b})
    assert winners(aligned, "dsc") == {"A": ("b",), "B": ("a", "b"), "C": ("a", "b")}
    assert winners(aligned, "hd_mm") == {"A": ("b",), "B": ("b",), "C": ()}  # a missed A once, C has no distance
    assert set(winners(aligned, "surface_dsc").values()) == {()}


def test_volume_errors_win_by_their_size():
    a, b = (Evaluation((score("1", "A", volume_error=error),)) for error in (-0.2, 0.1))
    assert winners(align({"a": a, "b": b}), "volume_error") == {"A": ("b",)}


def exact_p(differences):
    """Two-sided Wilcoxon signed-rank p by enumerating all signs."""
    ranks = rankdata(np.abs(differences))
    observed = abs((np.sign(differences) * ranks).sum())
    sums = [abs(np.dot(signs, ranks)) for signs in itertools.product((-1, 1), repeat=len(ranks))]
    return np.mean(np.array(sums) >= observed - 1e-9)


def test_paired_test_matches_enumeration():
    differences = np.array([0.05, 0.04, -0.01, 0.07, 0.02, 0.03, -0.015, 0.09])
    cases = [str(i) for i in range(8)]
    first = method([(case, "A", 0.5, 4.0) for case in cases])
    second = method([(case, "A", 0.5 + d, 4.0 - 10 * d) for case, d in zip(cases, differences, strict=True)])
    rows = by_key(paired_rows(align({"x": first, "y": second}), "x", "y"))
    row = rows["dsc", "A"]
    assert (row.n, row.group, row.first, row.second) == (8, "organ", "x", "y")
    assert row.difference == pytest.approx(differences.mean())
    assert row.median_difference == pytest.approx(np.median(differences))
    assert row.p == row.q == pytest.approx(exact_p(differences))
    assert row.effect == pytest.approx((36 - 2 * (1 + 2)) / 36)  # ranks 1 and 2 of 8 are negative
    hd = rows["hd_mm", "A"]
    assert hd.difference < 0 and hd.effect == pytest.approx(row.effect)  # smaller distances are better
    assert ("surface_dsc", "A") not in rows


def test_tiers_pair_cases_not_organs():
    one, two = [], []
    for case in "1234":
        one += [(case, "A", 0.5, 1.0), (case, "B", 0.7, 1.0)]
        two += [(case, "A", 0.7, 1.0), (case, "B", 0.7, 1.0)]
    rows = by_key(paired_rows(align({"x": method(one), "y": method(two)}), "x", "y"))
    for name in ("anchor", "all"):
        assert (rows["dsc", name].n, rows["dsc", name].group) == (4, "tier")
        assert rows["dsc", name].difference == pytest.approx(0.1)
    assert rows["dsc", "A"].p == pytest.approx(2 / 2**4) and rows["dsc", "A"].effect == 1.0
    assert (rows["dsc", "B"].p, rows["dsc", "B"].effect) == (1.0, 0.0)
    assert rows["dsc", "A"].q == pytest.approx(2 * 2 / 2**4)  # two organs were tested
    assert rows["hd_mm", "A"].p == 1.0


def test_targets_are_compared_too():
    def with_targets(*distances):
        return Evaluation((), targets=tuple(TargetScore(str(i), "T", "scored", d) for i, d in enumerate(distances)))

    first, second = with_targets(4.0, 5.0, 6.0, None), with_targets(3.0, 3.0, 3.0, 1.0)
    (row,) = paired_rows(align({"x": first, "y": second}), "x", "y")
    assert (row.metric, row.name, row.group, row.n) == ("distance_mm", "T", "target", 3)
    assert (row.difference, row.effect) == (-2.0, 1.0)


def test_rank_biserial():
    assert rank_biserial(np.array([0.0, 0.0])) == 0.0
    assert rank_biserial(np.array([1.0, 2.0, 0.0])) == 1.0
    assert rank_biserial(np.array([1.0, -1.0])) == 0.0
    assert rank_biserial(np.array([-1.0, 2.0, 3.0])) == pytest.approx((5 - 1) / 6)
