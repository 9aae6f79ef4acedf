"""scripts/experiments/ablation.py: which score goes to which cell of the paper's tables."""

from types import SimpleNamespace

import numpy as np
import pytest

from scripts.experiments.ablation import PAPER, Ablation
from soars_nnunet.cascade.record import DEFAULT_PLANS, DETECTIONS
from soars_nnunet.cascade.storage import read_json, write_json


def entry(tier, case, organ, dsc, hd_mm=1.0, asd_mm=0.5):
    return {"tier": tier, "case": case, "organ": organ, "dsc": dsc, "hd_mm": hd_mm, "asd_mm": asd_mm}


@pytest.fixture
def ablation(tmp_path):
    """An ablation of a cascade of mid-level organs and detection, whose trainings are done."""
    cascade = SimpleNamespace(
        datasets=dict.fromkeys(("anchor", "mid_level", "detection")),
        channels=lambda branch, plans: tmp_path / plans,
        plans=lambda branch, plans: tmp_path / "plans.json",
    )
    one = Ablation.__new__(Ablation)
    one.cascade, one.output, one.options = cascade, tmp_path, SimpleNamespace(no_nas=True)
    scores = {
        "baseline": [(0.1, 9.0), (0.3, None), (0.5, 3.0), (None, None)],
        "CTOnly": [(0.2, 8.0), (0.4, 4.0), (0.6, 4.0), (0.9, 1.0)],
        DEFAULT_PLANS: [(0.4, 6.0), (0.4, 2.0), (1.0, 0.0), (0.7, 1.0)],
    }
    names = [("a", "Larynx"), ("a", "Thyroid"), ("b", "Larynx"), ("b", "Thyroid")]
    for plans, values in scores.items():
        rows = [entry("mid_level", *name, *value) for name, value in zip(names, values, strict=True)]
        rows += [entry("anchor", case, "Brainstem", 0.5 + 0.1 * len(plans) / 10) for case in "ab"]
        write_json(one.evaluation(plans), {"scores": rows})
    write_json(tmp_path / "plans.json", {"configurations": {"3d_fullres": {"spacing": [3.0, 2.0, 2.5]}}})
    for plans, shift in (("DetectionCTOnly", 1.0), (DEFAULT_PLANS, 0.0)):
        (tmp_path / plans).mkdir()
        lines = ["case,target,distance_mm,hd_mm"]
        for target, base in (("Ear_L", 2.0), ("Pituitary", 5.0)):
            lines += [f"{case},{target},{base + shift + i},{10 + base + 2 * i}" for i, case in enumerate("ab")]
        (tmp_path / plans / DETECTIONS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return one


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def paper_of():
    return read_json(PAPER)


def test_table_1_compares_what_every_row_scores_and_distances_over_what_every_row_found(ablation):
    lines = {tuple(cells(line)[:2]): cells(line)[2:] for line in ablation.table1(paper_of())[2:]}
    # b's Thyroid is absent, and has a score only where it was predicted; a's was missed by the baseline
    assert lines["mid_level", "baseline"] == ["30.00", "1 of 3", "6.00", "0.50", "63.68", "12.97", "3.48"]
    assert lines["mid_level", "CT only"][:4] == ["40.00", "0 of 3", "6.00", "0.50"]
    assert lines["mid_level", "CT + anchor"] == ["60.00", "0 of 3", "3.00", "0.50", "70.73", "10.34", "1.67"]
    assert lines["anchor", "CT only"][0] == f"{100 * (0.5 + 0.01 * len(DEFAULT_PLANS)):.2f}"
    assert {tier for tier, _ in lines} == {"anchor", "mid_level"}


def test_differences_are_paired_by_case(ablation):
    line = next(line for line in ablation.paired() if "CT + anchor" in line)
    gains = np.array([40 - 30, 100 - 60])
    assert cells(line) == ["mid_level", "CT + anchor", f"{gains.mean():+.2f}", f"{gains.std(ddof=1):.2f}", "2"]


def test_a_case_that_one_row_has_no_score_of_is_no_pair(ablation):
    path = ablation.evaluation(DEFAULT_PLANS)
    scores = read_json(path)["scores"]
    write_json(path, {"scores": [s if s["case"] == "a" else {**s, "dsc": None} for s in scores]})
    assert [cells(line)[-1] for line in ablation.paired()[2:]] == ["1"] * 3


def test_detection_tables_keep_rows_and_metrics_apart(ablation):
    ours, plain = ablation.table2(paper_of())[2:]
    distances = np.array([3.0, 4.0, 6.0, 7.0])
    assert cells(ours) == ["CT only", f"{distances.mean():.2f}", f"{distances.std(ddof=1):.2f}", "3.25", "2.34"]
    assert cells(plain)[1] == f"{distances.mean() - 1:.2f}"
    ear, pituitary, average = (cells(line) for line in ablation.table7(paper_of())[2:5])
    assert ear[1:5] == ["3.5 ± 0.7", "2.5 ± 0.7", "13.0 ± 1.4", "13.0 ± 1.4"]
    assert ear[5:] == ["3.9 ± 2.5", "3.9 ± 2.6", "6.7 ± 3.3", "5.7 ± 2.1"]
    assert pituitary[0] == "Pituitary" and pituitary[5:] == ["-"] * 4
    # the paper has no pituitary: it is no part of what is held against the paper's average
    assert average[1:] == ["3.5", "2.5", "13.0", "13.0", "3.3", "2.9", "18.9", "6.2"]
    assert ablation.table7(paper_of())[-1].startswith("HD of the 1000 brightest voxels of 3 x 2 x 2.5 mm")


def test_means_of_table_7_agree_with_the_papers_averages():
    paper = paper_of()
    for row, averages in paper["table7_average"].items():
        for key, average in averages.items():
            means = [target[row][key][0] for target in paper["table7"].values()]
            assert np.mean(means) == pytest.approx(average, abs=0.2)  # of 142 patients, not of rounded means
