"""scripts/experiments/ablation_tables.py: which score goes to which cell of the paper's tables."""

from dataclasses import asdict

import numpy as np
import pytest

from scripts.experiments.ablation_tables import AblationTables, read_paper
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.evaluation.organ_scores import OrganScore

SPACING_MM = (3.0, 2.0, 2.5)


def entry(tier, case, organ, dsc, hd_mm=1.0, asd_mm=0.5):
    score = OrganScore(case, organ, tier, "scored", dsc, hd_mm, asd_mm, reference_ml=1.0, predicted_ml=1.0)
    return asdict(score)


@pytest.fixture
def tables(tmp_path):
    """Tables of an ablation of mid-level organs and detection, whose trainings are done."""
    scores = {
        "baseline": [(0.1, 9.0), (0.3, None), (0.5, 3.0), (None, None)],
        "CT only": [(0.2, 8.0), (0.4, 4.0), (0.6, 4.0), (0.9, 1.0)],
        "CT + anchor": [(0.4, 6.0), (0.4, 2.0), (1.0, 0.0), (0.7, 1.0)],
    }
    names = [("a", "Larynx"), ("a", "Thyroid"), ("b", "Larynx"), ("b", "Thyroid")]
    paths = {}
    for row, values in scores.items():
        rows = [entry("mid_level", *name, *value) for name, value in zip(names, values, strict=True)]
        rows += [entry("anchor", case, "Brainstem", 0.5 + 0.01 * len(row)) for case in "ab"]
        paths[row] = tmp_path / f"{row}.json"
        write_json(paths[row], {"scores": rows})
    anchors = {"baseline": paths["baseline"], "CT only": paths["CT + anchor"]}
    detections = {}
    for row, shift in (("CT only", 1.0), ("CT + anchor", 0.0)):
        lines = ["case,target,distance_mm,hd_mm"]
        for target, base in (("Ear_L", 2.0), ("Pituitary", 5.0)):
            lines += [f"{case},{target},{base + shift + i},{10 + base + 2 * i}" for i, case in enumerate("ab")]
        detections[row] = tmp_path / f"{row}.csv"
        detections[row].write_text("\n".join(lines) + "\n", encoding="utf-8")
    return AblationTables({"anchor": anchors, "mid_level": paths}, detections, read_paper())


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_table_1_compares_what_every_row_scores_and_distances_over_what_every_row_found(tables):
    lines = {tuple(cells(line)[:2]): cells(line)[2:] for line in tables.table1()[2:]}
    # b's Thyroid is absent, and has a score only where it was predicted; a's was missed by the baseline
    assert lines["mid_level", "baseline"] == ["30.00", "1 of 3", "6.00", "0.50", "63.68", "12.97", "3.48"]
    assert lines["mid_level", "CT only"][:4] == ["40.00", "0 of 3", "6.00", "0.50"]
    assert lines["mid_level", "CT + anchor"] == ["60.00", "0 of 3", "3.00", "0.50", "70.73", "10.34", "1.67"]
    assert lines["anchor", "CT only"][0] == f"{100 * (0.5 + 0.01 * len('CT + anchor')):.2f}"
    assert {tier for tier, _ in lines} == {"anchor", "mid_level"}


def test_differences_are_paired_by_case(tables):
    line = next(line for line in tables.paired() if "CT + anchor" in line)
    gains = np.array([40 - 30, 100 - 60])
    assert cells(line) == ["mid_level", "CT + anchor", f"{gains.mean():+.2f}", f"{gains.std(ddof=1):.2f}", "2"]


def test_a_case_that_one_row_has_no_score_of_is_no_pair(tables):
    path = tables.rows["mid_level"]["CT + anchor"]
    scores = read_json(path)["scores"]
    write_json(path, {"scores": [s if s["case"] == "a" else {**s, "dsc": None} for s in scores]})
    assert [cells(line)[-1] for line in tables.paired()[2:]] == ["1"] * 3


def test_detection_tables_keep_rows_and_metrics_apart(tables):
    ours, plain = tables.table2()[2:]
    distances = np.array([3.0, 4.0, 6.0, 7.0])
    assert cells(ours) == ["CT only", f"{distances.mean():.2f}", f"{distances.std(ddof=1):.2f}", "3.25", "2.34"]
    assert cells(plain)[1] == f"{distances.mean() - 1:.2f}"
    ear, pituitary, average = (cells(line) for line in tables.table7(SPACING_MM)[2:5])
    assert ear[1:5] == ["3.5 ± 0.7", "2.5 ± 0.7", "13.0 ± 1.4", "13.0 ± 1.4"]
    assert ear[5:] == ["3.9 ± 2.5", "3.9 ± 2.6", "6.7 ± 3.3", "5.7 ± 2.1"]
    assert pituitary[0] == "Pituitary" and pituitary[5:] == ["-"] * 4
    # the paper has no pituitary: it is no part of what is held against the paper's average
    assert average[1:] == ["3.5", "2.5", "13.0", "13.0", "3.3", "2.9", "18.9", "6.2"]
    assert tables.table7(SPACING_MM)[-1].startswith("HD of the 1000 brightest voxels of 3 x 2 x 2.5 mm")


def test_means_of_table_7_agree_with_the_papers_averages():
    paper = read_paper()
    for row, averages in paper["table7_average"].items():
        for key, average in averages.items():
            means = [target[row][key][0] for target in paper["table7"].values()]
            assert np.mean(means) == pytest.approx(average, abs=0.2)  # of 142 patients, not of rounded means
