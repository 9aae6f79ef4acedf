import numpy as np
import pytest
from evaluation.cases import anchors_and_one_small_organ

from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.scores import Evaluation, Summary, known_values


@pytest.fixture
def evaluation():
    return anchors_and_one_small_organ()


def test_organ_rows_leave_out_what_cannot_be_compared(evaluation):
    a, b, c = evaluation.per_organ()
    assert (a.dsc.n, a.dsc.mean, a.hd_mm.n, a.hd_mm.mean, a.missed) == (2, 0.4, 1, 4.0, 1)
    assert a.dsc.std == pytest.approx(0.8 / np.sqrt(2))
    assert (b.dsc.n, b.dsc.mean, b.dsc.std, b.not_in_reference) == (1, 0.6, None, 1)
    assert (c.dsc.mean, c.hd_mm.n, c.hd_mm.mean, c.missed) == (0.0, 0, None, 1)
    assert (a.extra, b.extra) == (0, 1)  # b is predicted in the case whose reference has none


def test_tier_means_are_means_of_organ_means(evaluation):
    anchor, small, everything = evaluation.per_tier()
    assert [row.name for row in (anchor, small, everything)] == ["anchor", "small_hard", "all"]
    assert (anchor.dsc.n, anchor.dsc.mean) == (2, pytest.approx((0.4 + 0.6) / 2))  # over scores it would be 0.467
    assert anchor.hd_mm.mean == pytest.approx(6.0)
    assert everything.dsc.mean == pytest.approx((0.4 + 0.6 + 0.0) / 3)
    assert (everything.hd_mm.n, everything.missed, everything.not_in_reference) == (2, 2, 1)


def test_summaries_of_few_values():
    assert Summary.of([]) == Summary(0, None, None)
    assert Summary.of([2.0]) == Summary(1, 2.0, None)
    assert Summary.of([1.0, 3.0]) == Summary(2, 2.0, pytest.approx(np.sqrt(2)))


def test_known_values_leave_out_none(evaluation):
    assert known_values(evaluation.scores, "hd_mm") == [4.0, 8.0]
    assert known_values([], "dsc") == []


def test_cases_and_groups_keep_the_order(evaluation):
    assert evaluation.cases() == ["a", "b"]
    assert [(organ, len(scores)) for organ, scores in evaluation.by_organ().items()] == [("A", 2), ("B", 2), ("C", 1)]


def test_targets_are_averaged_over_their_means():
    targets = [TargetScore(case, "T", "scored", mm) for case, mm in (("1", 1.0), ("2", 3.0))]
    targets += [TargetScore("1", "U", "scored", 8.0), TargetScore("2", "U", "missed", None)]
    evaluation = Evaluation((), targets=tuple(targets))
    rows = evaluation.per_target()
    assert (rows["T"]["distance_mm"].mean, rows["U"]["distance_mm"].n) == (2.0, 1)
    assert rows["Average"]["distance_mm"] == Summary.of([2.0, 8.0])
    assert rows["Average"]["hd_mm"] == Summary(0, None, None)
    assert evaluation.cases() == ["1", "2"] and Evaluation(()).per_target() == {}
