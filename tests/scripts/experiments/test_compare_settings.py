"""scripts/experiments/compare_settings.py: arms keep plans of their own and are scored on their own folds."""

import argparse
import json
from types import SimpleNamespace

import pytest

from scripts.experiments.compare_settings import Comparison, require_usable
from soars_nnunet.cascade.storage import read_json, write_json


@pytest.fixture
def comparison(tmp_path):
    """A comparison of two arms and folds; training writes the summary of an arm's validation."""
    one = Comparison.__new__(Comparison)
    arms = [["p_mirror=0"], ["p_mirror=0.5", "seed=1"]]
    one.options = argparse.Namespace(branch="anchor", arm=arms, jobs=1, folds=[])
    one.output = tmp_path
    write_json(tmp_path / "raw" / "dataset.json", {"labels": {"background": 0, "Larynx": 1}})
    one.cascade = SimpleNamespace(splits=lambda: [{}, {}], raw=lambda branch: tmp_path / "raw")
    one.planned = []
    one.plan = lambda *arguments: one.planned.append(arguments)
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
        ("Arm_p_mirror_0", ["anchor"], ["p_mirror=0", "final_validation=true"], []),
        ("Arm_p_mirror_0_5_seed_1", ["anchor"], ["p_mirror=0.5", "seed=1", "final_validation=true"], []),
    ]
    assert "| Larynx | 2 | 0.550 | 0.650 | +10.0 [+10.0, +10.0] |" in table


def test_only_the_folds_asked_for_are_trained(comparison):
    comparison.options.folds = [1]
    assert "| Larynx | 1 | 0.600 | 0.700 |" in comparison.everything()


def test_an_arm_names_a_genotype_which_is_no_regime_value(comparison, tmp_path):
    comparison.options.arm = [["p_mirror=0.5", "genotype=2D3,2D5,2D3,3D5"]]
    comparison.everything()
    ((plans, _, settings, plan_options),) = comparison.planned
    assert settings == ["p_mirror=0.5", "final_validation=true"]
    path = tmp_path / f"{plans}.json"
    assert plan_options == ["--genotype", str(path)]
    assert read_json(path) == {"anchor": {"kinds": ["2D3", "2D5", "2D3", "3D5"]}}


def test_a_genotype_that_is_none_is_refused_before_anything_trains(capsys):
    parser = argparse.ArgumentParser()
    right, wrong = (argparse.Namespace(arm=[[f"genotype={kinds}"]]) for kinds in ("2D3,2D5,2D3,3D5", "2D3,2D4"))
    assert require_usable(parser, right) is right
    with pytest.raises(SystemExit):
        require_usable(parser, wrong)
    assert "--arm genotype=2D3,2D4: expected 4 kinds" in capsys.readouterr().err
