"""Tables of scores: means against plain arithmetic, intervals against scipy's bootstrap."""

import numpy as np
import pytest
from scipy import stats

from soars_nnunet.bundles.card import Estimate
from soars_nnunet.bundles.card_evaluation import (
    LabelledEvaluation,
    detection_table,
    estimate,
    evaluation_table,
    lowest_scores,
    values_by_patient,
)
from soars_nnunet.cascade.target_facts import TargetFacts
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation


def score(case, organ, dsc, status="scored", **more):
    values = {"hd_mm": None, "asd_mm": None, "reference_ml": 1.0, "predicted_ml": 1.0, **more}
    return OrganScore(case=case, organ=organ, tier="anchor", status=status, dsc=dsc, **values)


SCORES = (
    score("a", "Larynx", 0.5, hd95_mm=2.0, asd_mm=1.0, surface_dsc=0.25),
    score("b", "Larynx", 0.0, status="missed", surface_dsc=0.0),
    score("c", "Larynx", None, status="not_in_reference"),
    score("a", "Brainstem", 0.9, hd95_mm=4.0),
    score("b", "Brainstem", 0.0, status="false_positive"),
    score("a", "Pineal", None, status="not_in_reference"),
)


def table_of(scores, pattern=None):
    return evaluation_table(LabelledEvaluation("k", "T", Evaluation(scores), pattern, {"Larynx": 2.0}, ("note",)))


def test_a_row_an_organ_with_all_that_was_compared():
    table = table_of(SCORES)
    larynx, brainstem, mean = table.to_json()["rows"]
    assert (larynx["organ"], larynx["cases"], larynx["missed"], larynx["false_positive"]) == ("Larynx", 2, 1, 0)
    assert [larynx[key]["mean"] for key in ("dsc", "hd95_mm", "asd_mm", "surface_dsc")] == [0.25, 2.0, 1.0, 0.125]
    assert (larynx["tolerance_mm"], brainstem["tolerance_mm"]) == (2.0, None)
    assert (brainstem["cases"], brainstem["missed"], brainstem["false_positive"]) == (2, 0, 1)
    assert (mean["organ"], mean["cases"]) == ("mean of the organs", 3)
    assert mean["dsc"]["mean"] == pytest.approx(0.35) and mean["hd95_mm"]["mean"] == 3.0
    assert table.notes == ("note",)


def test_without_scores_there_are_no_rows():
    assert table_of(()).rows == () and table_of(SCORES[-1:]).rows == ()


def test_the_mean_is_over_cases_and_few_patients_have_no_interval():
    assert estimate({}) == Estimate(None, None, None)
    assert estimate({"a": [0.2, 0.4], "b": [0.9]}) == Estimate(0.5, None, None)


def test_the_interval_is_scipys_where_each_patient_has_one_case():
    values = np.random.default_rng(3).beta(5, 2, 40)
    found = estimate({str(index): [value] for index, value in enumerate(values)})
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20000, rng=1).confidence_interval
    assert found.mean == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.004)
    assert estimate({str(index): [value] for index, value in enumerate(values)}) == found, "seeded"


def test_cases_of_a_patient_are_drawn_together():
    """Copies of a patient's case bring no knowledge: the interval stays as wide."""
    values = np.random.default_rng(5).uniform(0, 1, 10)
    alone = estimate({str(index): [value] for index, value in enumerate(values)})
    copied = estimate({str(index): [value] * 6 for index, value in enumerate(values)})
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))


def test_patients_are_found_in_case_names():
    scores = [score("p1_a", "Larynx", 0.1), score("p1_b", "Larynx", 0.3), score("q", "Larynx", 0.5)]
    assert values_by_patient(scores, "dsc", r"(p\d)_") == {"p1": [0.1, 0.3], "q": [0.5]}
    assert values_by_patient(scores, "dsc", None) == {"p1_a": [0.1], "p1_b": [0.3], "q": [0.5]}
    assert values_by_patient(scores, "hd95_mm", None) == {}


def test_the_lowest_scores_are_named_worst_first_with_what_was_missed():
    assert lowest_scores(table_of(SCORES)) == (
        "Larynx: mean DSC 0.250, missed in 1 of 2 cases",
        "Brainstem: mean DSC 0.450",
    )
    good = [score("a", f"Organ{index}", 0.9) for index in range(3)]
    assert lowest_scores(table_of(tuple(good))) == "no organ has a mean DSC below 0.7, and none was missed"
    many = lowest_scores(table_of(tuple(score("a", f"Organ{index}", 0.1) for index in range(11))))
    assert len(many) == 9 and many[-1] == "and 3 others; see section 4"


def test_detection_is_as_the_manifest_has_it():
    assert detection_table({}) is None
    facts = TargetFacts(size_mm=(30.0, 20.25, 10.0), low_confidence_below=0.2, mean_error_mm=2.5, missed=1, cases=7)
    (row,) = detection_table({"Pineal": facts}).to_json()["rows"]
    assert row == {"target": "Pineal", "cases": 7, "missed": 1, "mean_error_mm": 2.5, "size_mm": [30.0, 20.2, 10.0]}
