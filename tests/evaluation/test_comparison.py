import csv
import json

import pytest
from evaluation.cases import method

from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.comparison import compare_methods, format_comparison, write_comparison
from soars_nnunet.evaluation.evaluation_file import write_evaluation


@pytest.fixture
def paths(tmp_path):
    """Three methods over two cases, each better than the one before."""
    for name, dsc in (("low", 0.5), ("mid", 0.6), ("high", 0.7)):
        evaluation = method([("1", "A", dsc, 4.0), ("2", "A", dsc + 0.1, 2.0)])
        write_evaluation(evaluation, tmp_path / name)
    return {name: tmp_path / name for name in ("mid", "low", "high")}


def test_each_method_is_tested_against_the_first(paths):
    comparison = compare_methods(paths)
    assert [(row.first, row.second) for row in comparison.pairs if (row.metric, row.name) == ("dsc", "A")] == [
        ("mid", "low"),
        ("mid", "high"),
    ]
    assert list(comparison.methods) == ["mid", "low", "high"]


def test_four_files_hold_the_comparison(paths, tmp_path):
    comparison = compare_methods(paths)
    written = write_comparison(comparison, tmp_path / "out")
    assert [path.name for path in written] == [f"comparison.{ending}" for ending in ("csv", "json", "md", "tex")]
    document = json.loads(written[1].read_text())
    assert document["cases"] == ["1", "2"] and document["winners"]["dsc"] == {"A": ["high"]}
    assert document["methods"]["low"] == str(paths["low"]) and document["per_organ"]["mid"][0]["dsc"]["n"] == 2
    with written[0].open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(comparison.pairs) == len(document["paired"])
    overview = format_comparison(comparison)
    assert overview.startswith("**Table 3: by tier**") and "Wins out of 1 organs" in overview
    for part in overview.split("\n\n"):
        assert part in written[2].read_text()


def test_one_method_is_no_comparison(paths):
    with pytest.raises(InputError, match="two methods or more, got 1"):
        compare_methods({"low": paths["low"]})


@pytest.fixture
def detections(tmp_path):
    """Detections of three methods by name; every later method is nearer to the true centre of both cases."""
    paths = {}
    for number, name in enumerate(("far", "near", "nearest")):
        rows = [f"{case},Pineal,0.9,{mm - number},{2 * mm}" for case, mm in (("a", 4.0), ("b", 6.0))]
        paths[name] = tmp_path / f"{name}.csv"
        paths[name].write_text("\n".join(["case,target,peak,distance_mm,hd_mm", *rows]))
    return paths


def test_targets_of_every_method_are_tested_against_the_first(detections):
    rows = [row for row in compare_methods(detections).pairs if row.metric == "detected_mm"]
    found = [(row.first, row.second, row.difference) for row in rows]
    assert found == [("far", "near", -1.0), ("far", "nearest", -2.0)]


def test_files_and_overview_of_targets_alone(detections, tmp_path):
    comparison = compare_methods(detections)
    overview = format_comparison(comparison)
    assert "| near - far |" in overview and "| nearest - far |" in overview
    document = json.loads(write_comparison(comparison, tmp_path / "out")[1].read_text())
    assert document["cases"] == ["a", "b"]
    assert document["methods"] == {name: str(path) for name, path in detections.items()}
    assert len(document["paired"]) == 4  # two pairs, two metrics of the target
