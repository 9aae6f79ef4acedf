import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from cli.cases import write_image

from soars_nnunet.cli import evaluate

CUBE = np.zeros((8, 9, 10), np.uint8)
CUBE[2:6, 2:6, 2:6] = 1


@pytest.fixture
def scored(tmp_path):
    """Reference and two methods, three cases: ``good`` is the reference, ``off`` shifted and without one larynx."""
    for index, case in enumerate("abc"):
        reference = CUBE.copy()
        reference[6:8, 6:9, 6:9] = 22  # another organ, away from the brain stem
        off = np.where(np.roll(reference, 1, 2) == 1, 1, 0 if index == 0 else reference * (reference > 1))
        for folder, labels in (("ref", reference), ("good", reference), ("off", off)):
            (tmp_path / folder).mkdir(exist_ok=True)
            sitk.WriteImage(sitk.GetImageFromArray(labels.astype(np.uint8)), str(tmp_path / folder / f"{case}.nii.gz"))
    return tmp_path


def run(*arguments):
    return evaluate.main([str(argument) for argument in arguments])


def test_evaluate_then_compare(scored, capsys):
    for name in ("good", "off"):
        assert run("-p", scored / name, "-r", scored / "ref", "-np", 1) == 0
        written = {path.name for path in (scored / name).iterdir() if path.name.startswith("evaluation")}
        assert written == {f"evaluation.{ending}" for ending in ("csv", "json", "md", "tex")}
    lines = capsys.readouterr().out.splitlines()
    assert [line.rpartition(" ")[0].rpartition(" ")[0] for line in lines[:3]] == ["1/3 a", "2/3 b", "3/3 c"]
    out = scored / "comparison"
    methods = [f"off={scored / 'off'}", f"good one={scored / 'good' / 'evaluation.json'}"]
    assert run("--compare", *methods, "-o", out) == 0
    assert "| good one - off | DSC | Anchor OARs | 3 |" in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == {f"comparison.{e}" for e in ("csv", "json", "md", "tex")}
    document = json.loads((out / "comparison.json").read_text())
    assert document["cases"] == ["a", "b", "c"]
    assert document["winners"]["dsc"]["Brainstem"] == ["good one"]
    with (out / "comparison.csv").open(newline="") as file:
        rows = {(row["metric"], row["name"]): row for row in csv.DictReader(file)}
    brainstem = rows["dsc", "Brainstem"]
    assert (brainstem["first"], brainstem["second"], brainstem["n"]) == ("off", "good one", "3")
    assert float(brainstem["difference"]) == pytest.approx(0.25)  # a cube of 4 shifted by 1
    organ = next(name for metric, name in rows if metric == "dsc" and name not in ("Brainstem", "anchor", "all"))
    assert (rows["dsc", organ]["n"], rows["hd_mm", organ]["n"]) == ("3", "2")  # off lacks it in case a
    assert r"\begin{tabular}" in (out / "comparison.tex").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "expected both -p PREDICTION and -r REFERENCE"),
        (["-p", "."], "expected both -p"),
        (["--compare", "a=x", "b=y"], "add -o FOLDER"),
        (["--compare", "a=x", "b=y", "-p", "."], "no -p and -r"),
        (["--compare", "a=x", "-o", "."], "two methods or more"),
        (["--compare", "a=x", "a=y", "-o", "."], "NAME=PATH with a name of its own"),
        (["--compare", "x", "y", "-o", "."], "expected NAME=PATH"),
        (["--compare", "a=nowhere", "b=nowhere", "-o", "."], "expected an evaluation.json"),
    ],
)
def test_contradicting_options(capsys, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["{}", "[]", '{"scores": [{"organ": 1}]}', "no json"])
def test_files_that_are_no_evaluations(capsys, tmp_path, text):
    (tmp_path / "evaluation.json").write_text(text)
    assert run("--compare", f"a={tmp_path}", f"b={tmp_path}", "-o", tmp_path / "out") == 2
    assert "evaluate again" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_detections_make_table_7(tmp_path, capsys):
    for name, distances in (("CT only", (4.0, 5.0)), ("CT+anchor", (3.0, 2.0))):
        rows = [f"{case},Pineal,0.9,{mm},{2 * mm}" for case, mm in zip("ab", distances, strict=True)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["case,target,peak,distance_mm,hd_mm", *rows]))
    methods = [f"{name}={tmp_path / name}.csv" for name in ("CT only", "CT+anchor")]
    assert run("--compare", *methods, "-o", tmp_path / "out") == 0
    text = (tmp_path / "out" / "comparison.md").read_text()
    assert "| Pineal | 4.5±0.7 | **2.5±0.7** | 9.0±1.4 | **5.0±1.4** |" in text
    assert "| CT+anchor - CT only | Detected dist | Pineal | 2 | 4.50 | 2.50 | -2.00 |" in text


def test_evaluations_of_earlier_versions_can_be_read(scored):
    for name in ("good", "off"):
        assert run("-p", scored / name, "-r", scored / "ref", "-np", 1) == 0
        path = scored / name / "evaluation.json"
        data = json.loads(path.read_text())
        for key in ("targets", "paper_names", "empty_means_absent", "per_target"):
            del data[key]
        for row in data["scores"]:
            for key in ("hd95_mm", "surface_dsc", "volume_error"):
                del row[key]
        path.write_text(json.dumps(data))
    out = scored / "out"
    assert run("--compare", f"a={scored / 'good'}", f"b={scored / 'off'}", "-o", out) == 0
    assert {row["metric"] for row in json.loads((out / "comparison.json").read_text())["paired"]} == {
        "dsc",
        "hd_mm",
        "asd_mm",
    }


def test_evaluate_on_another_grid(refused, tmp_path):
    labels = np.zeros((6, 7, 8), np.uint8)
    labels[2:4, 2:5, 2:5] = 1
    for name, spacing in (("prediction", (1.0, 1.0, 2.0)), ("reference", (1.0, 1.0, 2.5))):
        write_image(tmp_path / name / "a.nii.gz", labels, spacing=spacing)
    line = refused(evaluate.main, "-p", tmp_path / "prediction", "-r", tmp_path / "reference")
    assert "spacing" in line and "a.nii.gz" in line
    assert sorted(path.name for path in (tmp_path / "prediction").iterdir()) == ["a.nii.gz"]


def test_evaluate_without_files_or_partners(refused, tmp_path):
    labels = np.zeros((6, 7, 8), np.uint8)
    write_image(tmp_path / "prediction" / "a.nii.gz", labels)
    write_image(tmp_path / "reference" / "b.nii.gz", labels)
    (tmp_path / "empty").mkdir()
    assert "same name" in refused(evaluate.main, "-p", tmp_path / "prediction", "-r", tmp_path / "reference")
    assert "got none" in refused(evaluate.main, "-p", tmp_path / "empty", "-r", tmp_path / "reference")
    assert "does not exist" in refused(evaluate.main, "-p", tmp_path / "nowhere", "-r", tmp_path / "reference")
