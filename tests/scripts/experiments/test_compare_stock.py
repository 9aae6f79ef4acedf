"""scripts/experiments/compare_stock.py: the learning rate that ends with the time, and its DSC."""

import time

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from scripts.experiments import compare_stock
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.profile import load_profile


def test_learning_rate_falls_to_zero_by_time(monkeypatch):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    decay, rates = compare_stock.DecayByTime(optimizer, 0.01, began=100.0, seconds=60.0), []
    for now in (100.0, 130.0, 160.0, 170.0):
        monkeypatch.setattr(time, "monotonic", lambda now=now: now)
        decay.step()
        rates.append(optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(rates, [0.01, 0.01 * 0.5**0.9, 0, 0])
    assert not decay.left


def test_dsc_goes_by_names_and_leaves_out_what_the_reference_lacks(tmp_path):
    truth, ours = np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8)
    truth[0], ours[0, :2], ours[3] = 1, 7, 8
    truth_labels, own_labels = {"Left Parotid": 1, "Larynx": 2, "PTV": 3}, {"Parotid_L": 7, "Larynx": 8, "Brain": 9}
    for folder, array, labels in (("labelsTs", truth, truth_labels), ("predicted", ours, own_labels)):
        (tmp_path / folder).mkdir()
        sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / folder / "case.nii.gz"))
        at = tmp_path if folder == "labelsTs" else tmp_path / folder
        write_json(at / "dataset.json", {"labels": {"background": 0, **labels}})
    found = compare_stock.scores(tmp_path / "predicted", tmp_path / "labelsTs", load_profile("openkbp7"))
    assert found == {"Parotid_L": {"case.nii.gz": pytest.approx(2 / 3)}, "Larynx": {}}
