import csv
import json

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.method_comparison import compare_methods


@pytest.fixture
def detections(tmp_path):
    """Detections of three methods by name; every later method is nearer to the true centre of both cases."""
    paths = {}
    for number, name in enumerate(("far", "near", "nearest")):
        rows = [f"{case},Pineal,0.9,{mm - number},{2 * mm}" for case, mm in (("a", 4.0), ("b", 6.0))]
        paths[name] = tmp_path / f"{name}.csv"
        paths[name].write_text("\n".join(["case,target,peak,distance_mm,hd_mm", *rows]))
    return paths


def test_every_method_is_tested_against_the_first(detections, tmp_path):
    compare_methods(detections, tmp_path / "out")
    with (tmp_path / "out" / "comparison.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["metric"] == "detected_mm"]
    found = [(row["first"], row["second"], float(row["difference"])) for row in rows]
    assert found == [("far", "near", -1.0), ("far", "nearest", -2.0)]


def test_files_and_overview(detections, tmp_path):
    done = compare_methods(detections, tmp_path / "out")
    assert [path.name for path in done.files] == [f"comparison.{end}" for end in ("csv", "json", "md", "tex")]
    assert "| near - far |" in done.overview and "| nearest - far |" in done.overview
    document = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert document["cases"] == ["a", "b"]
    assert document["methods"] == {name: str(path) for name, path in detections.items()}
    assert len(document["paired"]) == 4  # two pairs, two metrics of the target


def test_one_method_alone_is_refused(detections, tmp_path):
    with pytest.raises(InputError, match="two methods or more, got 1"):
        compare_methods({"far": detections["far"]}, tmp_path / "out")
    assert not (tmp_path / "out").exists()
