import shutil
from pathlib import Path

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.html_report import write
from soars_nnunet.html_report.write import PredictedCase, find_predicted_cases, report_evaluation, report_predictions


@pytest.fixture
def written(monkeypatch):
    """Paths of the pages; their content is not made."""
    paths = []

    def write_page(path, page):
        paths.append(path)
        return 1.25

    monkeypatch.setattr(write, "write_page", write_page)
    monkeypatch.setattr(write, "prediction_page", lambda labels, report, ct: f"{labels} {report} {ct}")
    monkeypatch.setattr(write, "evaluation_page", str)
    monkeypatch.setattr(write, "read_evaluation", lambda path: Evaluation((None,)))
    return paths


@pytest.fixture
def two_cases(small_case):
    """Folders of labels and CTs of the cases a and b."""
    labels, report, ct = small_case
    shutil.copyfile(labels, labels.with_name("b.nii.gz"))
    shutil.copyfile(report, report.with_name("b.json"))
    shutil.copyfile(ct, ct.with_name("b.nii.gz"))
    return labels.parent, ct.parent


def test_predictions_are_paired_with_cts_by_case(two_cases):
    labels, cts = two_cases
    assert find_predicted_cases(labels, cts) == [
        PredictedCase("a", labels / "a.nii.gz", cts / "a_0000.nii.gz"),
        PredictedCase("b", labels / "b.nii.gz", cts / "b.nii.gz"),
    ]


def test_one_file_and_one_ct_need_no_common_name(two_cases):
    labels, cts = two_cases
    found = find_predicted_cases(labels / "a.nii.gz", cts / "b.nii.gz")
    assert found == [PredictedCase("a", labels / "a.nii.gz", cts / "b.nii.gz")]


def test_all_predictions_without_a_ct_are_named(two_cases):
    labels, cts = two_cases
    shutil.copyfile(labels / "a.nii.gz", labels / "c.nii.gz")
    (cts / "b.nii.gz").unlink()
    with pytest.raises(InputError, match="found none for b, c; add the CTs"):
        find_predicted_cases(labels, cts)


@pytest.mark.parametrize(
    ("folder", "output", "expected"),
    [
        (True, None, ["out/a.html", "out/b.html"]),
        (True, "pages", ["pages/a.html", "pages/b.html"]),
        (False, None, ["out/a.html"]),
        (False, "mine.html", ["mine.html"]),
        (False, "", ["a.html"]),
    ],
    ids=["folder", "folder to folder", "file", "file to file", "file to a folder"],
)
def test_where_pages_go(two_cases, written, tmp_path, folder, output, expected):
    labels, cts = two_cases
    prediction = labels if folder else labels / "a.nii.gz"
    report_predictions(prediction, cts, None if output is None else tmp_path / output, lambda line: None)
    assert written == [tmp_path / path for path in expected]


def test_pages_of_a_folder_need_a_folder(two_cases, written, tmp_path):
    labels, cts = two_cases
    (tmp_path / "file.html").write_text("")
    with pytest.raises(InputError, match="expected a folder for the pages"):
        report_predictions(labels, cts, tmp_path / "file.html", lambda line: None)
    assert written == []


def test_an_evaluation_is_reported_beside_itself_or_where_told(written, tmp_path):
    lines = []
    (tmp_path / "evaluation.json").write_text("{}")
    report_evaluation(tmp_path, None, lines.append)
    report_evaluation(tmp_path / "evaluation.json", Path("mine.html"), lines.append)
    assert written == [tmp_path / "evaluation.html", Path("mine.html")]
    assert lines == [f"wrote {path} (1.2 MB)" for path in written]
