"""scripts/experiments/compare_guidance.py: which data it takes, and the order in which arms are made."""

import argparse
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripts.experiments import compare_guidance
from scripts.experiments.compare_guidance import ARMS, Comparison


@pytest.fixture
def comparison(tmp_path):
    one = Comparison.__new__(Comparison)
    one.output = tmp_path
    one.options = argparse.Namespace(dataset=7, device="cpu", jobs=1)
    splits = [{"val": ["a"]}, {"val": ["b"]}]
    one.cascade = SimpleNamespace(
        source="Dataset007_Tiny",
        datasets=dict.fromkeys(("anchor", "mid_level")),
        plans=lambda branch, name: tmp_path / "plans.json",
        splits=lambda: splits,
    )
    return one


def test_only_a_dataset_of_two_branches_without_plans_is_taken(comparison, tmp_path):
    comparison.check_dataset()
    comparison.cascade.datasets["baseline"] = None
    comparison.check_dataset()
    comparison.cascade.datasets["detection"] = None
    with pytest.raises(SystemExit, match="expected a dataset with anchors and mid-level organs alone"):
        comparison.check_dataset()
    (tmp_path / "plans.json").touch()
    with pytest.raises(SystemExit, match="has plans; stratify it in nnU-Net folders for this alone"):
        comparison.check_dataset()


def test_anchors_are_trained_before_their_channels_and_those_before_the_arms(comparison, monkeypatch):
    done = []
    comparison.plan = lambda plans, branches, plan_options=(): done.append(f"plan {plans}")
    comparison.train = lambda branch, plans, fold: done.append(f"train {branch} {plans} {fold}")
    comparison.run = lambda log, command: done.append(log)
    comparison.cross_validate = lambda plans, options: done.append(f"score {plans}")
    dice = {"OutOfFold": 0.7, "InSample": 0.6, "CTOnly": 0.5}

    def evaluation_dice(path, tier):
        assert tier == "mid_level"
        return {"Larynx": dict.fromkeys("ab", dice[Path(path).stem.removeprefix("evaluation_")])}

    monkeypatch.setattr(compare_guidance, "evaluation_dice", evaluation_dice)
    table = comparison.everything()
    assert done[1:5] == ["train anchor nnUNetPlans 0", "train anchor nnUNetPlans 1", "channels", "channels--in-sample"]
    assert done[5:8] == [f"plan {plans}" for plans, _ in ARMS.values()]
    assert done[-3:] == [f"score {plans}" for plans, _ in ARMS.values()]
    assert len([step for step in done if step.startswith("train mid_level")]) == 6
    assert "| Larynx | 2 | 0.500 | 0.600 | +10.0 [+10.0, +10.0] | +10.0 +10.0 | 0.700 |" in table
