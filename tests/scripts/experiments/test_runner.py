"""scripts/experiments/runner.py: what a run that goes on may change."""

from types import SimpleNamespace

import pytest

from scripts.experiments import runner
from scripts.experiments.ablation import Ablation


@pytest.fixture
def ablation(monkeypatch):
    cascade = SimpleNamespace(load=lambda dataset: SimpleNamespace(splits=lambda: [{}, {}]))
    monkeypatch.setattr(runner, "Cascade", cascade)
    monkeypatch.setattr(Ablation, "check_dataset", lambda self: None)
    monkeypatch.setenv("nnUNet_extTrainer", "")  # is set; this puts it back

    def run(tmp_path, **changed):
        options = {"dataset": 7, "output": tmp_path / "out", "jobs": 1, "fine_tune": False, "folds": [0]}
        return Ablation(SimpleNamespace(**(options | changed)))

    return run


def test_a_run_goes_on_with_the_same_options_alone(ablation, tmp_path):
    assert ablation(tmp_path).is_new
    assert not ablation(tmp_path, jobs=2).is_new
    assert not ablation(tmp_path, fine_tune=True).is_new
    with pytest.raises(SystemExit, match="holds results of other options or another version"):
        ablation(tmp_path, folds=[0, 1])


def test_a_fold_that_the_split_lacks_is_refused(ablation, tmp_path):
    with pytest.raises(SystemExit, match="expected some of 0 to 1, got 2"):
        ablation(tmp_path, folds=[1, 2])
    assert ablation(tmp_path, folds=[0, 1]).is_new, "what is refused leaves nothing behind"


def test_other_ways_to_predict_are_no_same_run(ablation, tmp_path, monkeypatch):
    ablation(tmp_path)
    monkeypatch.setattr(runner, "INFERENCE_REVISION", 0)
    with pytest.raises(SystemExit, match="another version"):
        ablation(tmp_path)
