import math

import pytest

from soars_nnunet.evaluation.metrics import METRICS
from soars_nnunet.html_report.shown_metrics import ShownMetric, shown_metrics


def test_known_metrics_have_title_and_sense_from_the_settings():
    dsc, volume_error = shown_metrics(["dsc", "volume_error"])
    assert dsc == ShownMetric("dsc", "DSC", "high") and volume_error.better == "zero"
    assert None not in {metric.better for metric in shown_metrics(METRICS)}


def test_unknown_metrics_go_by_their_names():
    curl, swirl, gap = shown_metrics(["curl_mm", "big_swirl", "gap_ml"])
    assert (curl.title, curl.better, curl.digits) == ("curl, mm", "low", 2)
    assert (swirl.title, swirl.better, swirl.digits) == ("big swirl", None, 3)
    assert (gap.title, gap.better, gap.digits) == ("gap, ml", None, 2)


@pytest.mark.parametrize(
    ("better", "worst_first"), [("high", (0.1, 0.5, 0.9)), ("low", (9.0, 5.0, 1.0)), ("zero", (-0.5, 0.4, 0.0))]
)
def test_worse_values_have_more_badness(better, worst_first):
    badness = [ShownMetric("m", "m", better).badness(value) for value in worst_first]
    assert badness == sorted(badness, reverse=True) and len(set(badness)) == 3


def test_no_value_is_worst_and_nobody_ranks_the_unknown():
    assert ShownMetric("m", "m", "low").badness(None) == math.inf
    assert ShownMetric("m", "m", None).badness(5.0) == 0.0
