"""From raw channels to a network's input, as nnU-Net does it."""

import numpy as np
import pytest
import torch
from nnunetv2.preprocessing.normalization.default_normalization_schemes import CTNormalization
from prediction.cases import CPU

from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.raw_cases import training_cases
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cascade.stored_cases import load_preprocessed
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.network_frame import to_network_frame
from soars_nnunet.networks.model_folder import ModelFolder
from soars_nnunet.prediction.branch_model import BranchModel
from soars_nnunet.prediction.preprocessing import CtWindow


@pytest.mark.parametrize("branch", ["anchor"])
def test_preprocessing_from_memory_equals_the_stored_data(untrained_cascade, branch):
    cascade = untrained_cascade
    model = BranchModel(ModelFolder(cascade.model(branch, DEFAULT_PLANS)), [0], CPU)
    source = cascade.raw(branch).parent / cascade.source
    cropped = []
    for case, (ct, _) in training_cases(cascade.source, {"file_ending": ".nii.gz"}).items():
        assert ct.is_relative_to(source)
        ct_hu, properties = to_network_frame(read_ct(ct))
        before = dict(properties)
        data, grid = model.preprocess(ct_hu, properties)
        stored, _, stored_properties = load_preprocessed(cascade.data(branch, DEFAULT_PLANS), case)
        np.testing.assert_allclose(data.numpy(), stored, atol=5e-5)
        assert properties == before
        assert grid.image_shape == tuple(stored_properties["shape_before_cropping"])
        cropped.append(grid.crop_shape != grid.image_shape)
    assert sum(cropped) == 1, "one phantom has a border of zeros, which nnU-Net crops"


def test_preprocessing_of_vois_equals_the_stored_data(untrained_cascade):
    """Crops were written as files, from which nnU-Net preprocessed CT and heat maps."""
    cascade = untrained_cascade
    model = BranchModel(ModelFolder(cascade.model("small_hard", DEFAULT_PLANS)), [0], CPU)
    for case in cascade.splits("small_hard")[0]["val"][:3]:
        files = sorted((cascade.raw("small_hard") / "imagesTr").glob(f"{case}_*"))
        arrays, facts = zip(*(to_network_frame(read_ct(path)) for path in files), strict=True)
        data, grid = model.preprocess(np.concatenate(arrays), facts[0])
        stored, _, stored_properties = load_preprocessed(cascade.data("small_hard", DEFAULT_PLANS), case)
        assert len(data) == len(files) > 2 and grid.image_shape == tuple(stored_properties["shape_before_cropping"])
        np.testing.assert_allclose(data.numpy(), stored, atol=2e-4)


@pytest.mark.parametrize(("key", "value"), [("order_z", 1), ("force_separate_z", False)])
def test_plans_of_another_preprocessing_are_refused(model_copy, key, value):
    plans = read_json(model_copy / "plans.json")
    PlansFile(plans).configuration["resampling_fn_data_kwargs"][key] = value
    write_json(model_copy / "plans.json", plans)
    with pytest.raises(
        MissingArtifactError, match=rf"plans\.json, .*resampling_fn_data_kwargs\.{key}: expected .*, got {value}"
    ):
        BranchModel(ModelFolder(model_copy), [0], CPU)


WINDOW = {"percentile_00_5": -500.0, "percentile_99_5": 1000.0, "mean": -400.0, "std": 150.0}


def window_of(**changes):
    return CtWindow.of({"foreground_intensity_properties_per_channel": {"0": {**WINDOW, **changes}}})


@pytest.mark.parametrize("std", [150.0, 0.0])
def test_the_ct_is_normalised_as_nnunet_does_and_other_channels_are_left_alone(std):
    raw = np.random.default_rng(0).uniform(-1500, 2500, (2, 5, 6, 7)).astype(np.float32)
    stock = CTNormalization(use_mask_for_norm=False, intensityproperties={**WINDOW, "std": std})
    window = window_of(std=std)
    found = window.normalise(torch.from_numpy(raw.copy())).numpy()
    np.testing.assert_allclose(found[0], stock.run(raw[0].copy()), rtol=1e-6)
    np.testing.assert_array_equal(found[1], raw[1])
    if std:
        np.testing.assert_allclose(window.to_hu(found[0]), raw[0].clip(-500, 1000), atol=1e-3)


@pytest.mark.parametrize(
    ("changes", "tells"), [({}, True), ({"percentile_00_5": 0.0}, False), ({"percentile_99_5": -450.0}, False)]
)
def test_body_and_air_are_told_apart_only_by_a_window_around_their_limit(changes, tells):
    assert window_of(**changes).tells_body_from_air is tells
