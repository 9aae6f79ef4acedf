import json

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.html_report.prediction_report import ReportedOrgan, read_prediction_report


def test_reports_may_say_little(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"organs": {"A": {"label": 3, "volume_ml": 1.5, "status": "found"}}, "targets": None}))
    report = read_prediction_report(path)
    assert report.organs == (ReportedOrgan("A", 3, 1.5, "found", None, None),)
    assert (report.case, report.warnings, report.targets, report.largest_part) == (None, (), {}, ())


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"organs": []}',
        '{"organs": {"A": 3}}',
        '{"organs": {"A": {"label": "1", "volume_ml": 1, "status": "found"}}}',
    ],
)
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "a.json"
    path.write_text(content)
    with pytest.raises(InputError, match="a.json.* expected .*run soars-cascade-predict again"):
        read_prediction_report(path)


def test_what_prediction_writes_is_read(small_case):
    report = read_prediction_report(small_case[1])
    assert [organ.label for organ in report.organs] == [1, 2, 3, 4]
    assert report.organs[0].confidence == pytest.approx(0.75) and report.organs[3].status == "not_found"
