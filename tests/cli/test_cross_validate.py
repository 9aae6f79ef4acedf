"""What the command does with its options and with the outcome; tests/test_cross_validate.py tests the work itself."""

from pathlib import Path

import pytest
import torch

from soars_nnunet import cross_validate as cross_validation
from soars_nnunet.cli import cross_validate
from soars_nnunet.evaluation import evaluation_file, organ_table
from soars_nnunet.prediction import postprocess


class Scored(str):
    """Stands for an evaluation."""

    warnings = ()


@pytest.fixture
def outcome(stratified, monkeypatch):
    """Replaces the work; holds what it was asked and what was written."""
    seen = {}

    def work(cascade, plans, *asked, **more):
        seen.update(source=cascade.source, plans=plans, asked=[*asked, *more.values()])
        return Scored("evaluation"), "effects", Path("folder")

    def write(evaluation, folder, stem="evaluation"):
        seen.update(stem=stem)
        return [folder / f"{stem}.json"]

    monkeypatch.setattr(cross_validation, "cross_validate", work)
    monkeypatch.setattr(organ_table, "format_table", lambda evaluation: f"table of the {evaluation}")
    monkeypatch.setattr(evaluation_file, "write_evaluation", write)
    monkeypatch.setattr(postprocess, "format_effects", lambda effects: ["Brainstem keeps its largest part"])
    return seen


def test_all_folds_decide(outcome, capfd):
    assert cross_validate.main(["-d", "42", "--device", "cpu", "--plans-name", "P"]) == 0
    assert (outcome["source"], outcome["plans"], outcome["stem"]) == ("Dataset042_Neck", "P", "evaluation")
    assert torch.device("cpu") in outcome["asked"] and None in outcome["asked"]
    lines = capfd.readouterr().out.splitlines()
    assert lines[:2] == ["table of the evaluation", f"wrote {Path('folder', 'evaluation.json')}"]
    assert lines[2:] == ["largest part alone, out of fold:", "Brainstem keeps its largest part"]


def test_some_folds_are_named_and_decide_nothing(outcome, capfd):
    assert cross_validate.main(["-d", "42", "--device", "cpu", "--folds", "1", "0"]) == 0
    assert [1, 0] in outcome["asked"] and outcome["stem"] == "evaluation_folds_0_1"
    assert "(of some folds, so nothing is decided):" in capfd.readouterr().out
