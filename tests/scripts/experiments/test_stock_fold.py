"""scripts/experiments/stock_fold.py: stock nnU-Net trains on the cascade's split and is compared on its cases."""

import argparse
from pathlib import Path

import pytest

from scripts.experiments import stock_fold
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.evaluation.evaluation_file import write_evaluation
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.profile import load_profile

SPLITS = [{"train": ["b"], "val": ["a"]}, {"train": ["a"], "val": ["b"]}]


@pytest.fixture
def source(tmp_path, monkeypatch):
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(variable, str(tmp_path / "own" / variable))
    dataset = tmp_path / "Dataset009_Real"
    for case in "ab":
        for folder, name in (("imagesTr", f"{case}_0000"), ("labelsTr", case)):
            (dataset / folder).mkdir(parents=True, exist_ok=True)
            (dataset / folder / f"{name}.nii.gz").touch()
    write_json(dataset / "dataset.json", {"labels": {"background": 0, "Larynx": 1}, "file_ending": ".nii.gz"})
    return stock_fold.Source(dataset, "Dataset009_Real", 9, load_profile("openkbp7"), SPLITS)


def test_stock_nnunet_gets_all_cases_and_the_cascades_split(source, tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(stock_fold, "run", lambda options, command: commands.append(command))
    options = argparse.Namespace(jobs=1)
    stock_fold.prepare(source, options)
    stock_fold.prepare(source, options)
    assert [command[:3] for command in commands] == [["nnUNetv2_plan_and_preprocess", "-d", "9"]], "once"
    own = tmp_path / "own"
    assert read_json(own / "nnUNet_preprocessed" / "Dataset009_Real" / "splits_final.json") == SPLITS
    assert set(read_json(own / "nnUNet_raw" / "Dataset009_Real" / "dataset.json")["dataset"]) == {"a", "b"}


def test_a_training_of_this_length_is_kept(source, tmp_path, monkeypatch):
    trained = []

    def train_folds(options, dataset, trainer, seconds, folds):
        trained.append((dataset, trainer, seconds, folds))
        model = tmp_path / "own" / "nnUNet_results" / dataset / f"{trainer}__nnUNetPlans__3d_fullres"
        (model / "fold_0").mkdir(parents=True, exist_ok=True)
        (model / "fold_0" / "checkpoint_final.pth").touch()
        return [123]

    monkeypatch.setattr(stock_fold, "train_folds", train_folds)
    options = argparse.Namespace(output=tmp_path, fold=0, minutes=2.5)
    assert [stock_fold.train(source, options) for _ in range(2)] == [123, 123]
    assert trained == [("Dataset009_Real", "nnUNetTrainerNoMirroring", 150, [0])]


def test_no_fold_is_scored_on_cases_of_another(source, tmp_path, monkeypatch):
    commands = []
    monkeypatch.setattr(stock_fold, "run", lambda options, command: commands.append(command))
    for fold, case in ((0, "a"), (1, "b")):
        options = argparse.Namespace(output=tmp_path / "out", fold=fold, minutes=2.5, device="cpu")
        _, reference = stock_fold.predict(source, options, SPLITS[fold]["val"])
        given = Path(commands[-1][commands[-1].index("-i") + 1])
        assert [path.name for path in given.iterdir()] == [f"{case}_0000.nii.gz"]
        assert [path.name for path in reference.iterdir()] == [f"{case}.nii.gz"]


def test_of_the_folds_cases_what_is_drawn_is_compared(tmp_path):
    scores = []
    for case, dsc in (("a", 0.75), ("b", 0.1), ("c", None)):
        scores.append(OrganScore(case, "Larynx", "anchor", "scored", dsc, None, None, 1.0, 1.0))
    write_evaluation(Evaluation(scores=tuple(scores)), tmp_path)
    ours = stock_fold.our_dice(tmp_path, ["a", "c"])
    assert ours == {"Larynx": {"a.nii.gz": 0.75}}
    text = stock_fold.report({"Larynx": {"a.nii.gz": 0.5}, "Brainstem": {}}, ours, steps=40, minutes=2.5)
    assert "40 steps in 2.5 minutes" in text and "| Larynx | 1 | 0.500 | 0.750 |" in text
    assert "| Larynx | 1 | 0.500 |" in stock_fold.report({"Larynx": {"a.nii.gz": 0.5}}, None, steps=1, minutes=1)
