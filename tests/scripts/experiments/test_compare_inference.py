"""scripts/experiments/compare_inference.py: its straightforward path against the cascade's stitching, and its DSC."""

import numpy as np
import pytest
import SimpleITK as sitk

from scripts.experiments import compare_inference
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.prediction.tiling import Tiling


def test_both_paths_agree_where_nothing_is_left_out(untrained_cascade):
    manifest = untrained_cascade.manifest(DEFAULT_PLANS)
    predictor = CascadePredictor(manifest, PredictionOptions(tiling=Tiling("everywhere"), postprocess=False))
    image = sitk.ReadImage(str(raw_folder() / untrained_cascade.source / "imagesTs" / "phantom_004_0000.nii.gz"))
    ours = sitk.GetArrayFromImage(predictor.predict(image)[0])
    plain = compare_inference.straightforward(predictor, image)
    assert len(np.unique(ours)) > 20
    assert (ours == plain).mean() > 0.9999
    image = sitk.ConstantPad(image, (9, 9, 9), (9, 9, 9), -1000.0)
    plain, whole = (compare_inference.straightforward(predictor, image, whole_scan) for whole_scan in (False, True))
    assert (whole != plain)[plain > 0].any(), "other tiles cut the patient"


@pytest.mark.parametrize(("first", "expected"), [([1, 1, 0], 2 / 3), ([0, 0, 1], 0), ([1, 0, 2], 1)])
def test_dice_of_a_label(first, expected):
    np.testing.assert_allclose(compare_inference.dice(np.array(first), np.array([1, 0, 0]), 1), expected)
    assert np.isnan(compare_inference.dice(np.array(first), np.array([1, 0, 0]), 3))


def test_labels_of_the_reference_are_told_by_their_names(untrained_cascade, tmp_path):
    options = PredictionOptions(organs=["Eye_L", "Brainstem"])
    predictor = CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS), options)
    names = {"background": 0, "brain stem": 3, "Eye_L": 1, "Larynx": 2, "tumour": 4}
    write_json(tmp_path / "dataset.json", {"labels": names})
    expected = [0, predictor.labels["Eye_L"], 0, predictor.labels["Brainstem"], 0]
    np.testing.assert_array_equal(compare_inference.renumbered(tmp_path / "labelsTs", predictor), expected)
