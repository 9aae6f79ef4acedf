"""scripts/experiments/worst_cases.py: which cases and slices are drawn."""

import argparse

import numpy as np
import pytest
import SimpleITK as sitk

from scripts.experiments.worst_cases import draw_worst, most_different, worst_scores
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation


def score(case, organ, dsc):
    return OrganScore(case, organ, "anchor", "scored", dsc, None, None, 10.0, 8.0)


SCORES = (
    score("a", "Larynx", 0.9),
    score("b", "Larynx", 0.1),
    score("c", "Larynx", None),
    score("b", "Brainstem", 0.0),
)


def test_the_lowest_of_an_organ_come_first_and_unscored_cases_are_left_out():
    evaluation = Evaluation(scores=SCORES)
    assert [found.case for found in worst_scores(evaluation, "Larynx", 10)] == ["b", "a"]
    assert [found.case for found in worst_scores(evaluation, "Larynx", 1)] == ["b"]


def test_the_slice_has_most_differing_voxels_along_its_axis():
    reference, predicted = np.zeros((4, 5, 6), bool), np.zeros((4, 5, 6), bool)
    reference[1, 2, :3] = predicted[1, 2, 0] = True
    predicted[3, 4, 5] = True
    assert [most_different(reference, predicted, axis) for axis in range(3)] == [1, 2, 1]
    assert most_different(reference, reference, 0) == 2


def test_a_panel_for_each_case_with_its_score(tmp_path):
    labels = np.zeros((6, 8, 10), np.uint8)
    labels[2:4, 2:5, 3:7] = 2
    for folder, name, array in (
        ("imagesTr", "b_0000", np.zeros(labels.shape, np.int16)),
        ("labelsTr", "b", labels),
        ("predicted", "b", (labels[::-1] > 0) * np.uint8(7)),
    ):
        (tmp_path / folder).mkdir()
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / folder / f"{name}.nii.gz"))
    write_json(tmp_path / "dataset.json", {"labels": {"background": 0, "Larynx": 2}})
    evaluation = Evaluation(
        scores=SCORES,
        profile="openkbp7",
        prediction=str(tmp_path / "predicted"),
        reference=str(tmp_path / "labelsTr"),
    )
    options = argparse.Namespace(number=1, plane="axial", raw=None)
    figure = draw_worst(evaluation, "Larynx", options)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == ["b: DSC 0.10, 8 of 10 ml"]
    with pytest.raises(SystemExit, match="expected scores of Esophagus"):
        draw_worst(evaluation, "Esophagus", options)
