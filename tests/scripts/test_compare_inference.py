"""The straightforward path of compare_inference.py against the cascade, which takes every short cut."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

import soars_nnunet
from soars_nnunet.artifacts import DEFAULT_PLANS, raw_folder
from soars_nnunet.predict import CascadePredictor
from soars_nnunet.tiling import Tiling

SCRIPTS = Path(soars_nnunet.__file__).parents[1] / "scripts"


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import compare_inference

    return compare_inference


def test_both_paths_agree_where_nothing_is_left_out(untrained_cascade, script):
    manifest = untrained_cascade.manifest(DEFAULT_PLANS)
    predictor = CascadePredictor(manifest, tiling=Tiling(everywhere=True), postprocess=False)
    image = sitk.ReadImage(str(raw_folder() / untrained_cascade.source / "imagesTs" / "phantom_004_0000.nii.gz"))
    ours = sitk.GetArrayFromImage(predictor.predict(image)[0])
    plain = script.straightforward(predictor, image)
    assert len(np.unique(ours)) > 20
    assert (ours == plain).mean() > 0.9999


@pytest.mark.parametrize(("first", "expected"), [([1, 1, 0], 2 / 3), ([0, 0, 1], 0), ([1, 0, 2], 1)])
def test_dice_of_a_label(script, first, expected):
    np.testing.assert_allclose(script.dice(np.array(first), np.array([1, 0, 0]), 1), expected)
    assert np.isnan(script.dice(np.array(first), np.array([1, 0, 0]), 3))
