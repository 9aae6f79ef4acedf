"""scripts/experiments/clinical_grid.py: the fine CT, its low passes, and the table."""

from types import SimpleNamespace

import numpy as np
import SimpleITK as sitk

from scripts.experiments import clinical_grid
from scripts.experiments.clinical_grid import Contours, case_scores, fine_ct, low_passed, table
from soars_nnunet.geometry.low_pass import low_pass_sigmas
from soars_nnunet.prediction.preprocessing import CtWindow, Preprocessing


def coarse_ct():
    """A ramp along x, 2 HU a mm."""
    ct = sitk.GetImageFromArray(np.broadcast_to(np.arange(16.0) * 8, (10, 12, 16)).astype(np.int16))
    ct.SetSpacing((4.0, 4.0, 3.0))
    ct.SetOrigin((5.0, -7.0, 11.0))
    ct.SetDirection((-1, 0, 0, 0, 1, 0, 0, 0, 1))
    return ct


def test_a_fine_ct_has_the_extent_and_the_values_of_the_coarse_one():
    ct = coarse_ct()
    fine = fine_ct(ct, (1.0, 2.0, 3.0), 0.0, 0)
    assert (fine.GetSize(), fine.GetSpacing()) == ((64, 24, 10), (1.0, 2.0, 3.0))
    middles = [
        image.TransformContinuousIndexToPhysicalPoint([(size - 1) / 2 for size in image.GetSize()])
        for image in (ct, fine)
    ]
    np.testing.assert_allclose(*middles)
    values = sitk.GetArrayFromImage(fine)[5, 12]
    np.testing.assert_allclose(np.diff(values[16:48]), 2.0, atol=0.02)
    assert values.min() >= 0 and values.max() <= 120


def test_noise_has_its_deviation_and_is_correlated_within_slices():
    ct = coarse_ct()
    noise = sitk.GetArrayFromImage(fine_ct(ct, (1, 1, 1), 25.0, 3)) - sitk.GetArrayFromImage(
        fine_ct(ct, (1, 1, 1), 0, 3)
    )
    assert 24.5 < noise.std() < 25.5

    def correlation(axis):
        ahead, behind = np.delete(noise, 0, axis), np.delete(noise, -1, axis)
        return np.corrcoef(ahead.ravel(), behind.ravel())[0, 1]

    assert abs(correlation(0)) < 0.05 and 0.3 < correlation(1) < 0.8 and 0.3 < correlation(2) < 0.8


def test_low_passes_are_put_in_and_taken_out_again():
    window = CtWindow(lowest_hu=-500, highest_hu=1000, mean_hu=-500, std_hu=150)
    before = Preprocessing(spacing_mm=(1, 3, 4), order=3, window=window, low_pass_ratio=1.5)
    model = SimpleNamespace(preprocessing=before)
    seen = {}
    for kind in clinical_grid.LOW_PASSES:
        with low_passed(SimpleNamespace(models={"anchor": model}), kind):
            ratio = model.preprocessing.low_pass_ratio
            seen[kind] = (ratio, low_pass_sigmas((1, 1, 1), (1, 3, 4), ratio))
    assert seen["none"] == (None, (0, 0, 0))
    assert seen["skimage"] == seen["as trained"] == (1.5, (0, 1, 1.5))
    assert seen["half ratio"] == (1.5, (0, 1.5, 2))
    assert model.preprocessing is before


def test_organs_that_nobody_drew_are_not_scored_against_contours():
    """A cascade that calls all above 50 HU the brainstem and all above 90 HU an eye."""
    ct = coarse_ct()
    cascade = SimpleNamespace(
        labels={"background": 0, "Brainstem": 1, "Eye_L": 2},
        models={},
        predict=lambda image: (sitk.Cast((image > 50) + (image > 90), sitk.sitkUInt8), {}),
    )
    hu = sitk.GetArrayFromImage(ct)
    drawn = (hu > 90).astype(np.uint8) * 2
    drawn[:5] = 0
    fine = fine_ct(ct, (1.0, 4.0, 3.0), 0.0, 0)
    scores = case_scores(cascade, ct, fine, Contours(drawn, ["Brainstem"]), ["none"])
    assert np.isnan([scores["contours: CT as it is", "Brainstem"], scores["contours: none", "Brainstem"]]).all()
    np.testing.assert_allclose(scores["contours: CT as it is", "Eye_L"], 2 / 3)
    assert scores["agreement: none", "Brainstem"] > 0.95 and len(scores) == 6


def test_table_leaves_out_what_is_unknown():
    cases = [{("a", "Eye_L"): 0.5, ("a", "Eye_R"): 0.9}, {("a", "Eye_L"): np.nan, ("a", "Eye_R"): 0.7}]
    assert table(cases)[2:] == ["| Eye_L | 0.500 |", "| Eye_R | 0.800 |", "| mean | 0.650 |"]
