"""Classes that nobody drew in some cases: what the trainer reads, masks and reports."""

import json

import numpy as np
import pytest
import torch
from nnunetv2.evaluation.evaluate_predictions import save_summary_json

from soars_nnunet.cascade.record import NOT_ANNOTATED
from soars_nnunet.cascade.storage import write_json
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
