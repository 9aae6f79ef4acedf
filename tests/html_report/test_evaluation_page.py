import base64
import io
import json

import matplotlib.image
import numpy as np
import pytest

from soars_nnunet.cli import report as report_command
from soars_nnunet.html_report.evaluation import evaluation_page

ORGANS = {"Brainstem": "anchor", "<b>Odd</b>_$L$": "small_hard"}


def summary(values):
    known = [value for value in values if value is not None]
    if not known:
        return {"n": 0, "mean": None, "std": None}
    spread = float(np.std(known, ddof=1)) if len(known) > 1 else None
    return {"n": len(known), "mean": float(np.mean(known)), "std": spread}


@pytest.fixture
def evaluation():
    """Three cases, two organs, a metric of the present and one that nobody knows yet."""
    dsc = {"Brainstem": (0.9, 0.5, 0.7), "<b>Odd</b>_$L$": (0.2, 0.0, None)}
    curl = {"Brainstem": (1.0, 2.0, 6.0), "<b>Odd</b>_$L$": (40.0, None, None)}
    status = {"<b>Odd</b>_$L$": ("scored", "missed", "not_in_reference")}
    scores = [
        {
            "case": f"case_{i}",
            "organ": organ,
            "tier": tier,
            "status": status.get(organ, ("scored",) * 3)[i],
            "dsc": dsc[organ][i],
            "curl_mm": curl[organ][i],
            "reference_ml": 3.0,
        }
        for i in range(3)
        for organ, tier in ORGANS.items()
    ]
    rows = [
        {"name": organ, "tier": tier, "dsc": summary(dsc[organ]), "curl_mm": summary(curl[organ]), "missed": 1}
        for organ, tier in ORGANS.items()
    ]
    return {
        "scores": scores,
        "per_organ": rows,
        "per_tier": [{**rows[0], "name": "all", "tier": "all"}],
        "per_target": {"Ear_L": {"distance_mm": {"n": 2, "mean": 3.25, "std": None}}},
        "profile": "hn42",
        "prediction": "/data/<pred>",
        "unknown_in_prediction": ["Heart"],
    }


def test_every_organ_case_and_metric_is_there(evaluation, parse):
    read = parse(evaluation_page(evaluation))
    assert read.open == []
    assert ("anchor", "3", "0.700 ± 0.200", "3.00 ± 2.65", "1") in read.rows["Brainstem"]
    assert ("small_hard", "2", "0.100 ± 0.141", "40.00", "1") in read.rows["<b>Odd</b>_$L$"]
    assert ("0.550", "20.50", "0") in read.rows["case_0"] and ("0.250", "2.00", "1") in read.rows["case_1"]
    assert read.rows["Ear_L"] == [("3.25",)] and "Heart" in read.text and "curl, mm" in read.text


def test_worst_cases_come_first_in_the_metrics_own_sense(evaluation, parse):
    text = evaluation_page(evaluation)
    worst_dsc, worst_curl = text.split("Worst DSC")[1], text.split("Worst curl, mm")[1]
    assert worst_dsc.index("0.000") < worst_dsc.index("0.200") < worst_dsc.index("0.500")
    assert worst_curl.index("40.00") < worst_curl.index("6.00") < worst_curl.index("2.00")
    by_case = text.split("By case")[1].split("Worst cases")[0]
    assert by_case.index("case_1") < by_case.index("case_0") < by_case.index("case_2")


def test_a_metric_of_unknown_sense_is_shown_but_not_ranked(evaluation):
    for row in (*evaluation["scores"], *evaluation["per_organ"], *evaluation["per_tier"]):
        row["swirl"] = row.pop("curl_mm")
    text = evaluation_page(evaluation)
    assert ">swirl<" in text and "Worst swirl" not in text and "Worst DSC" in text


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


def test_command_writes_beside_the_evaluation_and_says_how_large(evaluation, tmp_path, capsys):
    (tmp_path / "evaluation.json").write_text(json.dumps(evaluation))
    assert report_command.main(["-e", str(tmp_path)]) == 0
    assert f"wrote {tmp_path / 'evaluation.html'} (0." in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evaluation.html", "evaluation.json"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "not valid JSON"),
        ("[]", "evaluation.json of soars-evaluate"),
        ('{"scores": [{"case": "a"}], "per_organ": [], "per_tier": []}', "evaluation.json of soars-evaluate"),
        ('{"scores": [], "per_organ": [], "per_tier": []}', "at least one case"),
        (None, "expected the file"),
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
