"""Training's preprocessor against nnU-Net's own and against prediction's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from scipy.ndimage import gaussian_filter1d

from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.planning.low_pass import LowPassPreprocessor
from soars_nnunet.prediction.preprocessing import Preprocessing

SPACING_MM = [2.0, 1.5, 1.0]
LABELS = {"background": 0, "Eye_L": 1}


@pytest.fixture
def plans(untrained_cascade):
    """Plans of the small & hard branch, the only one whose other channels are resampled with the CT."""
    contents = read_json(untrained_cascade.plans("small_hard", DEFAULT_PLANS))
    PlansFile(contents).configuration["spacing"] = [3.0, 3.0, 3.0]
    return contents


def case():
    """CT in HU with noise and a border of zeros, and a channel of 0..1: (2, Z, Y, X); labels (1, Z, Y, X)."""
    rng = np.random.default_rng(0)
    channels = rng.uniform(-900, 900, (2, 20, 28, 30)).astype(np.float32)
    channels[1] = rng.uniform(0, 1, channels.shape[1:])
    channels[:, :3] = channels[:, :, 25:] = 0
    labels = np.zeros((1, 20, 28, 30), np.int16)
    labels[0, 8:12, 9:15, 10:20] = 1
    return channels, labels


def preprocessed(preprocessor, contents):
    manager = PlansManager(contents)
    channels, labels = case()
    return preprocessor(verbose=False).run_case_npy(
        channels,
        labels,
        {"spacing": SPACING_MM},
        manager,
        manager.get_configuration(CONFIGURATION),
        {"labels": LABELS, "channel_names": {"0": "CT", "1": "noNorm"}, "file_ending": ".nii.gz"},
    )


def with_two_channels(contents, ratio):
    configuration = PlansFile(contents).configuration
    configuration["normalization_schemes"] = ["CTNormalization", "NoNormalization"]
    configuration["use_mask_for_norm"] = [False, False]
    configuration["soars"]["low_pass_ratio"] = ratio
    return contents


@pytest.mark.parametrize("ratio", [1.5, 2.5])
def test_training_and_prediction_see_the_same_fine_ct(plans, ratio):
    contents = with_two_channels(plans, ratio)
    data, labels, properties = preprocessed(LowPassPreprocessor, contents)
    channels, _ = case()
    model = Preprocessing.of(Path("model"), contents)
    ours, grid = model.run(channels, {"spacing": SPACING_MM}, torch.device("cpu"))
    np.testing.assert_allclose(data, ours.numpy(), atol=1e-6)
    assert grid.crop == tuple(tuple(map(int, side)) for side in properties["bbox_used_for_cropping"])
    assert data.dtype == np.float32 and data.shape[1:] == labels.shape[1:] and set(np.unique(labels)) <= {-1, 0, 1}
    stock, stock_labels, _ = preprocessed(DefaultPreprocessor, contents)
    np.testing.assert_allclose(data[1], stock[1], atol=1e-5)
    np.testing.assert_array_equal(labels, stock_labels)
    assert data[0].std() < 0.95 * stock[0].std()


def test_the_low_pass_is_scipys_after_the_window(plans):
    """By nnU-Net alone: filter its normalised CT at its own spacing, then let it resample that."""
    contents = with_two_channels(plans, 1.5)
    data, _, _ = preprocessed(LowPassPreprocessor, contents)
    configuration = PlansFile(contents).configuration
    configuration["spacing"] = SPACING_MM
    normalised, _, properties = preprocessed(DefaultPreprocessor, contents)
    filtered = gaussian_filter1d(normalised[0], 0.5, axis=1, mode="nearest")  # z goes down by 1.5, not by more
    filtered = gaussian_filter1d(filtered, 1.0, axis=2, mode="nearest")
    expected = (
        PlansManager(contents)
        .get_configuration(CONFIGURATION)
        .resampling_fn_data(filtered[None], data.shape[1:], SPACING_MM, [3.0, 3.0, 3.0])
    )
    within = (expected[0] > filtered.min()) & (expected[0] < filtered.max())
    np.testing.assert_allclose(data[0][within], expected[0][within], atol=1e-5)
    assert within.mean() > 0.95


@pytest.mark.parametrize("ratio", [None, 3.5])
def test_what_needs_no_low_pass_is_nnunets_to_the_bit(plans, ratio):
    contents = with_two_channels(plans, ratio)
    np.testing.assert_array_equal(
        preprocessed(LowPassPreprocessor, contents)[0], preprocessed(DefaultPreprocessor, contents)[0]
    )
    del PlansFile(contents).configuration["soars"]["low_pass_ratio"]
    np.testing.assert_array_equal(
        preprocessed(LowPassPreprocessor, contents)[0], preprocessed(DefaultPreprocessor, contents)[0]
    )
