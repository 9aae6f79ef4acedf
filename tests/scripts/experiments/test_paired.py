"""scripts/experiments/paired.py: what comparisons of trainings are told by."""

import json

import numpy as np
from scipy import stats

from scripts.experiments import paired


def cells(table, organ):
    header, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    return dict(zip(header, next(row for row in rows if row[0] == organ), strict=True))


def test_interval_is_that_of_a_paired_t_test():
    generator = np.random.default_rng(0)
    before, after = generator.uniform(0.5, 0.9, 12), generator.uniform(0.5, 0.9, 12)
    cases = [f"case{index}" for index in range(12)]
    arms = {
        "a": {"Larynx": dict(zip(cases, before, strict=True))},
        "b": {"Larynx": dict(zip(cases, after, strict=True))},
    }
    row = cells(paired.paired_table(arms, [cases[:6], cases[6:]]), "Larynx")
    interval = stats.ttest_rel(100 * after, 100 * before).confidence_interval(0.95)
    expected = f"{100 * (after - before).mean():+.1f} [{interval.low:+.1f}, {interval.high:+.1f}]"
    assert row["difference [95 % interval]"] == expected
    assert row["by fold"] == " ".join(
        f"{100 * (after - before)[part].mean():+.1f}" for part in (slice(6), slice(6, 12))
    )
    assert (row["cases"], row["a"], row["b"]) == ("12", f"{before.mean():.3f}", f"{after.mean():.3f}")


def test_arms_are_compared_on_what_all_of_them_have():
    arms = {
        "a": {"Larynx": {"p": 0.5, "q": 0.9, "r": 0.1}, "Lens_L": {"p": 0.3, "q": 0.4}},
        "b": {"Larynx": {"p": 0.6, "q": 0.8}, "Lens_L": {"q": 0.6}},
    }
    table = paired.paired_table(arms)
    assert cells(table, "Larynx")["a"] == "0.700" and cells(table, "Larynx")["cases"] == "2"
    # p: Larynx alone; q: both organs
    mean = cells(table, paired.MEAN)
    assert mean["a"] == f"{np.mean([0.5, 0.65]):.3f}" and mean["b"] == f"{np.mean([0.6, 0.7]):.3f}"


def test_dice_of_absent_organs_is_left_out(tmp_path):
    metrics = {"1": {"Dice": 0.5, "n_ref": 9}, "2": {"Dice": 0.0, "n_ref": 0}, "3": {"Dice": float("nan"), "n_ref": 0}}
    folder = tmp_path / "fold_0" / "validation"
    folder.mkdir(parents=True)
    entry = {"reference_file": "x/p.nii.gz", "metrics": metrics}
    (folder / "summary.json").write_text(json.dumps({"metric_per_case": [entry]}))
    labels = {"background": 0, "Larynx": 1, "Lens_L": 2, "Lens_R": 3}
    found = paired.validation_dice([tmp_path / "fold_0"], labels)
    assert found == {"Larynx": {"p.nii.gz": 0.5}, "Lens_L": {}, "Lens_R": {}}


def test_mean_of_organs_counts_each_organ_alike():
    dice = {"Larynx": {"a": 0.5}, "Brainstem": {"a": 0.75, "b": 0.25, "c": 0.5}, "Cord": {"a": 0.8}, "Esophagus": {}}
    assert np.isclose(paired.organ_mean(dice), 0.6)
    assert np.isnan(paired.organ_mean({"Esophagus": {}}))
