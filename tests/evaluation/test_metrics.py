from dataclasses import fields

from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.metrics import METRICS, TARGET_METRICS
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import SummaryRow


def test_every_metric_has_its_fields():
    for kind in (OrganScore, SummaryRow):
        assert set(METRICS) <= {entry.name for entry in fields(kind)}
    assert set(TARGET_METRICS) <= {entry.name for entry in fields(TargetScore)}


def test_overlaps_are_shares_and_better_when_higher_distances_are_not():
    for key, metric in {**METRICS, **TARGET_METRICS}.items():
        assert (metric.unit, metric.digits) == (("mm", 1) if key.endswith("_mm") else ("", 3))
        assert metric.higher_is_better == key.endswith("dsc")
