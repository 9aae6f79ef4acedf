"""Classes that nobody drew in some cases: what the trainer reads, masks and reports."""

import json
import shutil

import numpy as np
import pytest
import torch
from nnunetv2.evaluation.evaluate_predictions import save_summary_json
from nnunetv2.utilities.collate_outputs import collate_outputs

from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.record import DEFAULT_PLANS, NOT_ANNOTATED
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.training.detection import SOARSDetectionTrainer
from soars_nnunet.training.midlevel import SOARSMidLevelTrainer
from soars_nnunet.training.not_annotated import (
    ByCase,
    load_not_annotated,
    mask_summary,
    not_annotated_mask,
    on_both_sides,
)

LABELS = {"background": 0, "Brainstem": 1, "Eye_L": 2, "Eye_R": 3}


def test_labels_by_case_and_both_sides_of_mirrored_patches(tmp_path):
    assert load_not_annotated(tmp_path, LABELS) == {}
    write_json(tmp_path / NOT_ANNOTATED, {"a": ["Eye_L"], "b": ["Brainstem", "Eye_R"]})
    assert load_not_annotated(tmp_path, LABELS) == {"a": (2,), "b": (1, 3)}
    assert on_both_sides(load_not_annotated(tmp_path, LABELS), [0, 1, 3, 2]) == {"a": (2, 3), "b": (1, 2, 3)}


def test_cases_are_not_named_in_debug_information(tmp_path):
    write_json(tmp_path / NOT_ANNOTATED, {"patient_smith": ["Eye_L"]})
    assert "smith" not in str(load_not_annotated(tmp_path, LABELS)) and isinstance(
        load_not_annotated(tmp_path, LABELS), ByCase
    )


def test_mask_of_a_batch():
    not_annotated = {"a": (2,), "b": (1, 3)}
    mask = not_annotated_mask(["b", "c", "a"], not_annotated, 4, torch.device("cpu"))
    assert mask.tolist() == [[False, True, False, True], [False] * 4, [False, False, True, False]]
    assert not_annotated_mask(["c", "d"], not_annotated, 4, torch.device("cpu")) is None


def test_summary_is_nnunets_over_the_known_pairs(tmp_path):
    dice = {"a": {1: 0.8, 2: 0.0, 3: 0.5}, "b": {1: 0.6, 2: 0.7, 3: float("nan")}, "c": {1: 0.0, 2: 0.9, 3: 0.3}}
    cases = [
        {"reference_file": f"/x/{case}.nii.gz", "metrics": {label: {"Dice": v, "n_ref": 5} for label, v in row.items()}}
        for case, row in dice.items()
    ]
    mean = {label: {"Dice": -1.0, "n_ref": -1.0} for label in (1, 2, 3)}
    path = tmp_path / "summary.json"
    save_summary_json({"metric_per_case": cases, "mean": mean, "foreground_mean": {"Dice": -1.0, "n_ref": -1}}, path)
    mask_summary(path, {"a": (2,), "c": (1, 3), "elsewhere": (1,)}, ".nii.gz")
    summary = json.loads(path.read_text())
    means = [summary["mean"][label]["Dice"] for label in ("1", "2", "3")]
    assert means == pytest.approx([0.7, 0.8, 0.5])
    assert summary["foreground_mean"]["Dice"] == pytest.approx(np.mean(means))
    assert np.isnan(summary["metric_per_case"][0]["metrics"]["2"]["Dice"])
    assert summary["metric_per_case"][0]["metrics"]["1"]["Dice"] == 0.8
    mask_summary(path, {case: (3,) for case in "abc"}, ".nii.gz")
    summary = json.loads(path.read_text())
    assert summary["foreground_mean"]["Dice"] == pytest.approx(0.75), "a class that no case knows is left out"


def trainer_of(cascade, trainer, open_class, cases):
    """A trainer ready to step, in whose cases nobody drew a class."""
    plans = read_json(cascade.plans(trainer.branch, DEFAULT_PLANS))
    plans["continue_training"] = False
    dataset_json = read_json(cascade.preprocessed(trainer.branch) / "dataset.json")
    write_json(cascade.preprocessed(trainer.branch) / NOT_ANNOTATED, {case: [open_class] for case in cases})
    made = trainer(plans, CONFIGURATION, 0, dataset_json, torch.device("cpu"))
    made.initialize()
    made.on_train_start()
    return made


def finish(trainer):
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        if hasattr(loader, "_finish"):
            loader._finish()


def test_segmentation_may_predict_what_nobody_drew(cascade_copy):
    """Mass moved from the background to an open class changes nothing there, and the loss of the other case."""
    open_case, closed_case = cascade_copy.splits()[0]["train"]
    trainer = trainer_of(cascade_copy, SOARSMidLevelTrainer, "Larynx", [open_case])
    label = trainer.dataset_json["labels"]["Larynx"]
    batch = next(trainer.dataloader_train)
    keys = {"both": [open_case, closed_case], "open": [open_case] * 2, "closed": [closed_case] * 2}
    output = [torch.randn(2, len(trainer.dataset_json["labels"]), *batch["target"][0].shape[2:])] * 4
    moved = output[0].clone()
    both = moved[:, [0, label]].logsumexp(1)
    moved[:, 0], moved[:, label] = both - 20, both
    change = {}
    for name, cases in keys.items():
        trainer.mark_not_annotated({**batch, "keys": np.array(cases)}, trainer.not_annotated_in_patches)
        losses = [float(trainer.loss(o, [torch.zeros_like(t) for t in batch["target"]])) for o in (output, [moved] * 4)]
        change[name] = losses[1] - losses[0]
    assert abs(change["open"]) < 1e-4 < 1 < change["both"] < change["closed"]
    assert np.isfinite(trainer.train_step({**batch, "keys": np.array(keys["both"])})["loss"])
    finish(trainer)


@pytest.mark.parametrize("trainer", [SOARSMidLevelTrainer, SOARSDetectionTrainer])
def test_validation_counts_an_open_class_in_the_other_cases(cascade_copy, trainer):
    open_case, closed_case = cascade_copy.splits()[0]["train"]
    made = trainer_of(cascade_copy, trainer, "Larynx" if trainer is SOARSMidLevelTrainer else "Pituitary", [])
    made.network.eval()  # as in nnU-Net's validation epoch
    batch = next(made.dataloader_train)
    batch = {**batch, "data": batch["data"][[0, 0]], "target": [target[[0, 0]] for target in batch["target"]]}
    if trainer is SOARSDetectionTrainer:
        made.centers_mm = dict.fromkeys((open_case, closed_case), made.centers_mm[str(batch["keys"][0])])
    closed = made.validation_step({**batch, "keys": np.array([closed_case] * 2)})
    counts = ("tp_hard", "fp_hard", "fn_hard")
    row = int(np.argmax(sum(closed[key] for key in counts)))
    made.not_annotated = {open_case: (row + 1,)}
    opened = made.validation_step({**batch, "keys": np.array([open_case] * 2)})
    mixed = made.validation_step({**batch, "keys": np.array([open_case, closed_case])})
    others = np.arange(len(closed["tp_hard"])) != row
    for key in counts:
        assert opened[key][row] == 0 and mixed[key][row] == closed[key][row] / 2
        np.testing.assert_array_equal(mixed[key][others], closed[key][others])
    assert sum(closed[key][row] for key in counts) > 0
    # several GPUs: nnU-Net stacks the ranks' losses, of which one may have seen an open class and another none
    assert np.vstack([collate_outputs([step])["loss"] for step in (closed, opened)]).shape == (2, 1)
    assert type(opened["loss"]) is type(closed["loss"])
    finish(made)


def test_detection_learns_nothing_of_an_open_target(cascade_copy):
    cases = cascade_copy.splits()[0]["train"]
    names = list(read_json(cascade_copy.preprocessed("detection") / "dataset.json")["labels"])
    trainer = trainer_of(cascade_copy, SOARSDetectionTrainer, names[2], cases)
    trainer.train_step(next(trainer.dataloader_train))
    for conv in trainer.network.score_convs:  # the constant background has no score convolution
        assert not conv.weight.grad[1].any() and conv.weight.grad[0].any()
    finish(trainer)


def test_mirrored_patches_leave_both_sides_open_in_training_alone(cascade_copy):
    plans = read_json(cascade_copy.plans("mid_level", DEFAULT_PLANS))
    PlansFile(plans).configuration["soars"]["p_mirror"] = 1.0
    write_json(cascade_copy.plans("mid_level", DEFAULT_PLANS), plans)
    shutil.rmtree(cascade_copy.model("mid_level", DEFAULT_PLANS))
    cases = cascade_copy.splits()[0]["train"]
    trainer = trainer_of(cascade_copy, SOARSMidLevelTrainer, "Parotid_L", cases)
    labels = trainer.dataset_json["labels"]
    sides = tuple(sorted((labels["Parotid_L"], labels["Parotid_R"])))
    assert trainer.not_annotated_in_patches == {case: sides for case in cases}
    assert trainer.not_annotated == {case: (labels["Parotid_L"],) for case in cases}
    for _ in range(3):
        assert np.isfinite(trainer.train_step(next(trainer.dataloader_train))["loss"])
    finish(trainer)
