import csv
import json

import pytest
from evaluation.cases import anchors_and_one_small_organ

from soars_nnunet import __version__
from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.evaluation_file import find_evaluation, read_evaluation, to_document, write_evaluation
from soars_nnunet.evaluation.organ_scores import OrganScore


@pytest.fixture
def evaluation():
    return anchors_and_one_small_organ()


def test_csv_and_json_hold_the_same_scores(tmp_path, evaluation):
    table, document, *texts = write_evaluation(evaluation, tmp_path / "new" / "out", stem="test")
    assert sorted(p.name for p in table.parent.iterdir()) == ["test.csv", "test.json", "test.md", "test.tex"]
    assert [p.suffix for p in texts] == [".md", ".tex"]
    assert read_evaluation(document) == evaluation
    data = json.loads(document.read_text())
    assert tuple(OrganScore(**row) for row in data["scores"]) == evaluation.scores
    assert data["provenance"]["version"] == __version__
    assert [row["name"] for row in data["per_organ"]] == ["A", "B", "C"]
    assert data["per_tier"][-1]["dsc"]["mean"] == pytest.approx(1 / 3)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["organ"] for row in rows] == ["A", "B", "C", "A", "B"]
    assert (rows[0]["dsc"], rows[2]["hd_mm"], rows[4]["dsc"]) == ("0.8", "", "")


def test_write_says_which_folder_it_cannot_write(tmp_path, evaluation):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="expected a folder to write to"):
        write_evaluation(evaluation, tmp_path / "file")


def test_a_folder_stands_for_the_file_in_it(tmp_path, evaluation):
    write_evaluation(evaluation, tmp_path)
    assert find_evaluation(tmp_path) == tmp_path / "evaluation.json"
    assert read_evaluation(tmp_path) == evaluation
    with pytest.raises(InputError, match="expected an evaluation.json, its folder or a detections.csv"):
        read_evaluation(tmp_path / "nowhere")


def test_files_of_earlier_versions_have_fewer_metrics_and_no_targets(tmp_path, evaluation):
    document = to_document(evaluation)
    for key in ("targets", "paper_names", "empty_means_absent", "per_target", "provenance"):
        del document[key]
    for row in document["scores"]:
        for key in ("hd95_mm", "surface_dsc", "volume_error"):
            del row[key]
    (tmp_path / "evaluation.json").write_text(json.dumps(document))
    read = read_evaluation(tmp_path)
    assert read.scores == evaluation.scores
    assert (read.metrics, read.targets, read.version) == (("dsc", "hd_mm", "asd_mm"), (), "")


def test_metrics_of_later_versions_are_passed_over(tmp_path, evaluation):
    document = to_document(evaluation)
    for row in document["scores"]:
        row["curl_mm"] = 1.5
    (tmp_path / "evaluation.json").write_text(json.dumps({**document, "more": 3}))
    assert read_evaluation(tmp_path) == evaluation


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not valid JSON"),
        ("[]", "expected an object, got ..; run soars-evaluate again"),
        ("{}", "expected the keys scores"),
        ('{"scores": 3}', "scores: expected a list, got 3"),
        ('{"scores": [{"organ": "A"}]}', "scores.0: expected the keys case"),
        ('{"scores": [{"case": 1, "organ": "A", "tier": "anchor", "status": "missed"}]}', "case: expected a text"),
        (
            '{"scores": [{"case": "a", "organ": "A", "tier": "anchor", "status": "scored", "dsc": "x"}]}',
            "dsc: expected a number from",
        ),
    ],
)
def test_other_files_are_refused_in_one_line(content, problem, tmp_path):
    (tmp_path / "evaluation.json").write_text(content)
    with pytest.raises(InputError, match=problem) as caught:
        read_evaluation(tmp_path)
    assert "evaluation.json" in str(caught.value) and "\n" not in str(caught.value)


def test_detections_are_read_as_targets(tmp_path):
    path = tmp_path / "detections.csv"
    path.write_text("case,target,peak,distance_mm,hd_mm\na,Pineal,0.9,4.5,8\n")
    read = read_evaluation(path)
    assert read.scores == () and read.targets == (TargetScore("a", "Pineal", "scored", None, 4.5, 8.0),)
    path.write_text("case,target\na,Pineal\n")
    with pytest.raises(InputError, match="detections.csv of soars-channels"):
        read_evaluation(path)
