import base64
import io
from dataclasses import replace

import matplotlib.image
import pytest

from soars_nnunet.cli import report as report_command
from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.evaluation_file import write_evaluation
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.html_report import shown_metrics
from soars_nnunet.html_report.evaluation import evaluation_page

ODD = "<b>Odd</b>_$L$"
SCORES = {
    "Brainstem": [("scored", 0.9, 1.0), ("scored", 0.5, 2.0), ("scored", 0.7, 6.0)],
    ODD: [("scored", 0.2, 40.0), ("missed", 0.0, None), ("not_in_reference", None, None)],
}
"""Status, DSC and HD of three cases by organ."""


@pytest.fixture
def evaluation():
    """Three cases and two organs; only DSC and HD were measured."""
    scores = []
    for number in range(3):
        for organ, tier in (("Brainstem", "anchor"), (ODD, "small_hard")):
            status, dsc, hd_mm = SCORES[organ][number]
            scores.append(OrganScore(f"case_{number}", organ, tier, status, dsc, hd_mm, None, 3.0, 0.0))
    return Evaluation(
        scores=tuple(scores),
        profile="hn42",
        prediction="/data/<pred>",
        unknown_in_prediction=("Heart",),
        targets=(TargetScore("case_0", "Ear_L", "scored", 3.25), TargetScore("case_1", "Ear_L", "missed", None)),
        metrics=("dsc", "hd_mm"),
    )


def test_every_organ_case_and_metric_is_there(evaluation, parse):
    read = parse(evaluation_page(evaluation))
    assert read.open == []
    assert ("anchor", "3", "0.700 ± 0.200", "3.00 ± 2.65", "0", "0", "0") in read.rows["Brainstem"]
    assert ("small_hard", "2", "0.100 ± 0.141", "40.00", "1", "1", "0") in read.rows[ODD]
    assert ("0.550", "20.50", "0") in read.rows["case_0"] and ("0.250", "2.00", "1") in read.rows["case_1"]
    assert read.rows["Ear_L"] == [("3.25",)] and "Heart" in read.text and "HD (maximum), mm" in read.text
    assert "ASD" not in read.text  # was not measured


def test_worst_cases_come_first_in_the_metrics_own_sense(evaluation, parse):
    text = evaluation_page(evaluation)
    worst_dsc, worst_hd = text.split("Worst DSC")[1], text.split("Worst HD (maximum), mm")[1]
    assert worst_dsc.index("0.000") < worst_dsc.index("0.200") < worst_dsc.index("0.500")
    assert worst_hd.index("40.00") < worst_hd.index("6.00") < worst_hd.index("2.00")
    by_case = text.split("By case")[1].split("Worst cases")[0]
    assert by_case.index("case_1") < by_case.index("case_0") < by_case.index("case_2")


def test_cases_without_a_value_come_first(evaluation):
    scores = [replace(score, dsc=None) if score.case == "case_2" else score for score in evaluation.scores]
    by_case = evaluation_page(replace(evaluation, scores=tuple(scores))).split("By case")[1].split("Worst cases")[0]
    assert by_case.index("case_2") < by_case.index("case_1") < by_case.index("case_0")


def test_a_metric_of_unknown_sense_is_shown_but_not_ranked(evaluation, monkeypatch):
    known = {"dsc": {"title": "DSC", "better": "high"}}
    monkeypatch.setattr(shown_metrics, "settings", lambda: {"metrics": known})
    swirled = [replace(score, volume_error=0.25) for score in evaluation.scores]
    text = evaluation_page(replace(evaluation, scores=tuple(swirled), metrics=("dsc", "volume_error")))
    assert ">volume error<" in text and "Worst volume error" not in text and "Worst DSC" in text


def test_names_are_escaped_and_nothing_is_loaded(evaluation, parse):
    text = evaluation_page(evaluation)
    read = parse(text)
    assert "<b>Odd" not in text and "<pred>" not in text and "script" not in read.tags
    assert all(link.startswith("data:") for link in read.links) and "http" not in text.replace("http-equiv", "")


def test_box_plots_are_pictures_one_a_metric(evaluation, parse):
    pictures = [link for link in parse(evaluation_page(evaluation)).links if link.startswith("data:image/png")]
    assert len(pictures) == 2
    for link in pictures:
        pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(link.partition(",")[2])))
        assert pixels.shape[0] > 80 and pixels.shape[1] > 400 and pixels.std() > 0.05


def test_an_evaluation_of_organs_alone_has_no_targets(evaluation):
    assert "Detection targets" in evaluation_page(evaluation)
    assert "Detection targets" not in evaluation_page(replace(evaluation, targets=()))


def test_command_writes_beside_the_evaluation_and_says_how_large(evaluation, tmp_path, capsys):
    write_evaluation(evaluation, tmp_path)
    assert report_command.main(["-e", str(tmp_path)]) == 0
    assert f"wrote {tmp_path / 'evaluation.html'} (0." in capsys.readouterr().out
    assert (tmp_path / "evaluation.html").is_file()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected an object, got []; run soars-evaluate again"),
        ('{"scores": [{"case": "a"}], "per_organ": [], "per_tier": []}', "expected the keys organ, status, tier"),
        ('{"scores": [], "per_organ": [], "per_tier": []}', "at least one case"),
        (None, "expected an evaluation.json"),
    ],
)
def test_bad_evaluations_are_one_line(content, expected, tmp_path, capsys):
    path = tmp_path / "evaluation.json"
    if content is not None:
        path.write_text(content)
    assert report_command.main(["-e", str(path), "-o", str(tmp_path / "r.html")]) == 2
    captured = capsys.readouterr()
    assert expected in captured.err and len(captured.err.splitlines()) == 1
    assert not (tmp_path / "r.html").exists()
