"""Paired tests on crafted scores; expected values by hand or by enumeration."""

import itertools

import numpy as np
import pytest
from evaluation.cases import method
from scipy.stats import rankdata

from soars_nnunet.evaluation.alignment import align
from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.paired_tests import paired_rows, rank_biserial
from soars_nnunet.evaluation.scores import Evaluation


def by_key(rows):
    return {(row.metric, row.name): row for row in rows}


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
