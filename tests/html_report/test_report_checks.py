"""A prediction's report of the wrong shape is refused in one line, before a page is made."""

import pytest

from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.html_report.report_checks import check_report
from soars_nnunet.schemas.node import checked

ORGAN = {"label": 1, "volume_ml": 20.5, "status": "found", "tier": "anchor", "confidence": 0.9}


def report(**changes):
    return {
        "case": "a",
        "profile": "hn42",
        "organs": {"Brainstem": ORGAN},
        "targets": {"Lens_L": {"center_mm": [1.0, 2.0, 3.0], "peak": 0.5, "status": "found"}},
        "models": {"anchor": {"name": "x", "folds": [0, 1]}},
        "warnings": ["one"],
        "largest_part": [],
        "provenance": {"soars_nnunet": "1"},
        "seconds": {"anchor": 1.5},
        "sha256": {"input": "0" * 64, "models": {"anchor": ["a"]}},
        **changes,
    }


def test_reports_are_taken_also_those_that_lack_parts():
    checked(report(), "x", check_report)
    checked({"organs": {"Brainstem": {"label": 1, "volume_ml": 3, "status": "found"}}}, "x", check_report)
    checked(report(targets=None, models=None, largest_part=None, bundle=None, case=None), "x", check_report)


def organ(**changes):
    return report(organs={"Brainstem": {**ORGAN, **changes}})


ODD = {
    "report-p []": ([], "expected an object"),
    "report-p organs null": (report(organs=None), "organs: expected an object"),
    "report-p organ null": (report(organs={"a": None}), "organs.a: expected an object"),
    "report-p no label": (report(organs={"a": {"volume_ml": 1, "status": "x"}}), "organs.a: expected the keys label"),
    "report-p label -1": (organ(label=-1), "label: expected a whole number from 1 to 255, got -1"),
    "report-p label truth": (organ(label=True), "label: expected a whole number"),
    "report-p one label twice": (
        report(organs={"a": ORGAN, "b": ORGAN}),
        "organs: expected organs with a label of their own, got a and b, both with 1",
    ),
    "report-p volume string": (organ(volume_ml="20"), "volume_ml: expected a number"),
    "report-p volume NaN": (organ(volume_ml=float("nan")), "volume_ml: expected a number .* got nan"),
    "report-p status number": (organ(status=3), "status: expected a text"),
    "report-p confidence text": (organ(confidence="high"), "confidence: expected a number"),
    "report-p tier list": (organ(tier=[]), "tier: expected a text"),
    "report-p warnings null": (report(warnings=None), "warnings: expected a list, got None"),
    "report-p warnings string": (report(warnings="one"), "warnings: expected a list"),
    "report-p targets row null": (report(targets={"a": None}), "targets.a: expected an object"),
    "report-p targets deep": (report(targets={"a": {"b": [[1]]}}), "targets.a.b.0: expected a text"),
    "report-p models no folds": (report(models={"a": {}}), "models.a: expected the keys folds, name"),
    "report-p models folds text": (report(models={"a": {"name": "x", "folds": "0"}}), "folds: expected a list"),
    "report-p provenance list": (report(provenance=["a"]), "provenance: expected an object"),
    "report-p seconds text": (report(seconds={"a": "1"}), "seconds.a: expected a number"),
    "report-p hash number": (report(sha256={"input": 3}), "sha256.input: expected a text"),
    "report-p case list": (report(case=["a"]), "case: expected a text"),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_reports_are_refused_in_one_line(odd):
    data, match = ODD[odd]
    with pytest.raises(MissingArtifactError, match=match) as refused:
        checked(data, "a.json", check_report)
    assert str(refused.value).isprintable()
