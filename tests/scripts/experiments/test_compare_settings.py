"""scripts/experiments/compare_settings.py: arms keep plans of their own and are scored on their own folds."""

import argparse
import json
from types import SimpleNamespace

import pytest

from scripts.experiments.compare_settings import Comparison
from soars_nnunet.cascade.storage import write_json


@pytest.fixture
def comparison(tmp_path):
    """A comparison of two arms and folds; training writes the summary of an arm's validation."""
    one = Comparison.__new__(Comparison)
    arms = [["p_mirror=0"], ["p_mirror=0.5", "seed=1"]]
    one.options = argparse.Namespace(branch="anchor", arm=arms, jobs=1)
    write_json(tmp_path / "raw" / "dataset.json", {"labels": {"background": 0, "Larynx": 1}})
    one.cascade = SimpleNamespace(splits=lambda: [{}, {}], raw=lambda branch: tmp_path / "raw")
    one.planned = []
    one.plan = lambda plans, branches, settings: one.planned.append((plans, branches, settings))
    one.folder = lambda branch, plans, fold: tmp_path / plans / str(fold)

    def train(branch, plans, fold, finished):
        dice = 0.5 if plans == "Arm_p_mirror_0" else 0.6
        metrics = {"1": {"Dice": dice + 0.1 * fold, "n_ref": 9}}
        entry = {"reference_file": f"case{fold}.nii.gz", "metrics": metrics}
        path = one.folder(branch, plans, fold) / finished
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"metric_per_case": [entry]}))

    one.train = train
    return one


def test_arms_are_planned_with_their_settings_and_scored_over_all_folds(comparison):
    table = comparison.everything()
    assert comparison.planned == [
        ("Arm_p_mirror_0", ["anchor"], ["p_mirror=0", "final_validation=true"]),
        ("Arm_p_mirror_0_5_seed_1", ["anchor"], ["p_mirror=0.5", "seed=1", "final_validation=true"]),
    ]
    assert "| Larynx | 2 | 0.550 | 0.650 | +10.0 [+10.0, +10.0] |" in table
