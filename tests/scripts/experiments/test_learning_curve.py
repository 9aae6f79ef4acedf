"""scripts/experiments/learning_curve.py: a row a training, by steps, with what the mean gains."""

import argparse
from types import SimpleNamespace

import pytest

from scripts.experiments.learning_curve import Curve, Point, curve_table
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.settings.regime import load_regime


def test_rows_go_by_steps_and_gain_over_the_row_above():
    long = Point("Epochs12", 1200, 2400.0, {"Larynx": {"a": 0.75, "b": 0.5}, "Brainstem": {"a": 0.5}, "Cord": {}})
    short = Point("Epochs6", 600, 600.0, {"Larynx": {"a": 0.5, "b": 0.5}, "Brainstem": {"a": 0.5}, "Cord": {}})
    lines = curve_table([long, short]).splitlines()
    assert lines[0] == "| training | steps | minutes | s a step | Larynx | Brainstem | mean | gain |"
    assert lines[2:] == [
        "| Epochs6 | 600 | 10 | 1.00 | 0.500 | 0.500 | 0.500 | - |",
        "| Epochs12 | 1200 | 40 | 2.00 | 0.625 | 0.500 | 0.562 | +6.2 |",
    ]


@pytest.fixture
def curve(tmp_path):
    """A curve of two lengths; a finished training has plans, a log and the summary of its validation."""
    one = Curve.__new__(Curve)
    one.options = argparse.Namespace(branch="anchor", fold=1, jobs=1, epochs=[2], finished=["Base"])
    write_json(tmp_path / "raw" / "dataset.json", {"labels": {"background": 0, "Larynx": 1}})
    one.cascade = SimpleNamespace(raw=lambda branch: tmp_path / "raw")
    one.folder = lambda branch, plans, fold: tmp_path / plans / f"fold_{fold}"
    one.planned = []
    one.plan = lambda *arguments: one.planned.append(arguments)

    def train(branch, plans, fold, finished="validation/summary.json"):
        folder = one.folder(branch, plans, fold)
        epochs = int(plans.removeprefix("Epochs")) if plans.startswith("Epochs") else 4
        entry = {"reference_file": "a.nii.gz", "metrics": {"1": {"Dice": epochs / 10, "n_ref": 9}}}
        write_json(folder / finished, {"metric_per_case": [entry]})
        settings = load_regime("demo", "anchor").to_json() | {"num_epochs": epochs, "iterations_per_epoch": 10}
        intensities = {"0": {"mean": -500.0, "std": 150.0, "percentile_00_5": -500.0, "percentile_99_5": 1000.0}}
        plans = {"configurations": {"3d_fullres": {"spacing": [1.0, 1.0, 1.0], "soars": settings}}}
        write_json(folder.parent / "plans.json", plans | {"foreground_intensity_properties_per_channel": intensities})
        (folder / "training_log_1.txt").write_text("2026-01-01 10:00:00.5: Epoch time: 60.0 s\n" * epochs)

    one.train = train
    return one


def test_trainings_are_planned_and_joined_by_finished_ones(curve):
    curve.train("anchor", "Base", 1)
    lines = curve.everything().splitlines()
    assert curve.planned == [("Epochs2", ["anchor"], ["num_epochs=2", "final_validation=true"])]
    assert lines[2:] == [
        "| Epochs2 | 20 | 2 | 6.00 | 0.200 | 0.200 | - |",
        "| Base | 40 | 4 | 6.00 | 0.400 | 0.400 | +20.0 |",
    ]


def test_a_training_that_is_not_finished_is_named(curve):
    with pytest.raises(SystemExit, match="train Base with final_validation=true"):
        curve.everything()
