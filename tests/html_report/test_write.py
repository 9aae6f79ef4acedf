import shutil
from pathlib import Path

import pytest
import SimpleITK as sitk

from soars_nnunet.cascade.storage import file_hash, read_json, write_json
from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.html_report import write
from soars_nnunet.html_report.write import PredictedCase, pair_with_cts, report_evaluation, report_predictions


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
    paired = pair_with_cts(labels, cts)
    assert paired.cases == (
        PredictedCase("a", labels / "a.nii.gz", cts / "a_0000.nii.gz"),
        PredictedCase("b", labels / "b.nii.gz", cts / "b.nii.gz"),
    )
    assert paired.without_ct == ()


def test_one_file_and_one_ct_need_no_common_name(two_cases):
    labels, cts = two_cases
    found = pair_with_cts(labels / "a.nii.gz", cts / "b.nii.gz")
    assert found.cases == (PredictedCase("a", labels / "a.nii.gz", cts / "b.nii.gz"),)


def test_all_predictions_without_a_ct_are_named_and_the_others_reported(two_cases, written):
    labels, cts = two_cases
    shutil.copyfile(labels / "a.nii.gz", labels / "c.nii.gz")
    (cts / "b.nii.gz").unlink()
    with pytest.raises(InputError, match="found none for b, c; add the CTs"):
        report_predictions(labels, cts, None, lambda line: None)
    assert written == [labels / "a.html"]
    (cts / "a_0000.nii.gz").rename(cts / "d.nii.gz")
    with pytest.raises(InputError, match="found none for a, b, c; add the CTs"):
        report_predictions(labels, cts, None, lambda line: None)


def test_one_bad_case_stops_no_other(two_cases, tmp_path):
    labels, cts = two_cases
    for name, ct in (("a", "a_0000"), ("b", "b")):
        data = read_json(labels / f"{name}.json")
        write_json(labels / f"{name}.json", {**data, "sha256": {"input": file_hash(cts / f"{ct}.nii.gz")}})
    (cts / "a_0000.nii.gz").write_bytes(with_other_hu(cts / "b.nii.gz"))
    with pytest.raises(InputError, match=r"1 prediction\(s\) could not be reported: -i .*a_0000.*another patient's"):
        report_predictions(labels, cts, tmp_path / "pages", lambda line: None)
    assert [path.name for path in (tmp_path / "pages").iterdir()] == ["b.html"]


def with_other_hu(path):
    """Bytes of a CT of another patient on the same grid."""
    image = sitk.ReadImage(str(path)) + 7
    other = path.with_name("other.mha")
    sitk.WriteImage(image, str(other.with_name("other.nii.gz")))
    content = other.with_name("other.nii.gz").read_bytes()
    other.with_name("other.nii.gz").unlink()
    return content


def test_doubts_are_on_the_screen_and_in_the_page(small_case):
    labels, report, ct = small_case
    hashes = {"input": file_hash(ct), "output": "0" * 64}
    write_json(report, {**read_json(report), "sha256": hashes})
    lines = []
    report_predictions(labels, ct, None, lines.append)
    assert lines[0].startswith("warning: a: a.nii.gz was changed after its report was written")
    assert "a.nii.gz was changed after" in labels.with_name("a.html").read_text()
    write_json(report, {**read_json(report), "sha256": {**hashes, "output": file_hash(labels)}})
    lines.clear()
    report_predictions(labels, ct, None, lines.append)
    assert len(lines) == 1 and lines[0].startswith("wrote ")


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
