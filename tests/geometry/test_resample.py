"""Resampling by matrices against nnU-Net's own functions."""

import numpy as np
import pytest
import torch
from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero
from nnunetv2.preprocessing.resampling.default_resampling import compute_new_shape, resample_data_or_seg_to_shape
from scipy.ndimage import gaussian_filter1d

from soars_nnunet.geometry.low_pass import low_pass_sigmas
from soars_nnunet.geometry.resample import nonzero_box, resample

SPACINGS = {
    "coarser": ((1.9, 0.95, 0.95), (3.0, 3.0, 3.0)),
    "finer": ((2.5, 2.0, 2.0), (1.0, 1.1, 1.3)),
    "mixed": ((1.0, 2.0, 2.0), (2.0, 1.5, 2.0)),
    "thick slices": ((5.0, 1.0, 1.0), (3.0, 1.7, 1.5)),
    "thick slices wanted": ((2.0, 1.0, 1.0), (4.0, 1.2, 0.9)),
    "slices stay": ((4.0, 1.0, 1.0), (4.0, 1.2, 0.9)),
    "thick sagittal slices": ((1.0, 1.1, 4.5), (1.5, 1.5, 2.0)),
    "thick coronal slices": ((1.0, 4.5, 1.1), (1.5, 2.0, 1.5)),
    "two thick axes": ((0.3, 1.25, 1.25), (0.5, 1.0, 1.0)),
    "same": ((2.0, 1.0, 1.0), (2.0, 1.0, 1.0)),
}


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("name", SPACINGS)
def test_resampling_equals_nnunets(name, order):
    old, new = SPACINGS[name]
    rng = np.random.default_rng(0)
    channels = rng.normal(size=(2, 22, 25, 37)).astype(np.float32)  # noise overshoots, so clipping matters
    shape = compute_new_shape(channels.shape[1:], old, new)
    kwargs = {"is_seg": False, "order": order, "order_z": 0, "force_separate_z": None}
    expected = resample_data_or_seg_to_shape(channels.copy(), shape, old, new, **kwargs)
    before = channels.copy()
    ours = resample(channels, old, new, order)
    assert ours.dtype == torch.float32 and tuple(ours.shape) == expected.shape and ours.is_contiguous()
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    np.testing.assert_array_equal(channels, before)
    doubled = resample(channels, old, new, order, prepare=lambda part: part.mul_(2))
    np.testing.assert_allclose(doubled, 2 * expected, atol=2e-5)
    np.testing.assert_array_equal(channels, before)


def filtered_by_scipy(ct, sigmas):
    for axis, sigma in enumerate(sigmas):
        if sigma:
            ct = gaussian_filter1d(ct, sigma, axis=axis, mode="nearest")
    return ct


FINE = {
    "finer pixels": ((2.5, 1.0, 1.0), (3.0, 4.0, 3.5), (0, 1.5, 1.25)),
    "finer everywhere": ((1.2, 0.9, 0.9), (3.0, 3.0, 3.0), (0.75, 7 / 6, 7 / 6)),
    "two thick axes": ((0.3, 1.25, 1.25), (0.6, 1.0, 1.0), (0.5, 0, 0)),
    "thick slices": ((4.0, 1.0, 1.0), (3.0, 3.0, 3.0), (0, 1.0, 1.0)),
    "thick slices wanted": ((1.0, 0.8, 1.0), (4.0, 1.3, 1.2), (1.5, 0.3125, 0)),
    "thick sagittal slices wanted": ((1.0, 0.8, 1.0), (1.0, 1.3, 5.0), (0, 0.3125, 2.0)),
}


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("name", FINE)
def test_a_fine_ct_is_filtered_before_nnunet_resamples_it(name, order):
    """The reference: scipy's Gaussian along each axis, then nnU-Net's own function."""
    old, new, sigmas = FINE[name]
    np.testing.assert_allclose(low_pass_sigmas(old, new, 1.5), sigmas)
    rng = np.random.default_rng(0)
    channels = rng.normal(size=(3, 26, 25, 37)).astype(np.float32)
    filtered = channels.copy()
    filtered[0] = filtered_by_scipy(channels[0], sigmas)
    kwargs = {"is_seg": False, "order": order, "order_z": 0, "force_separate_z": None}
    shape = compute_new_shape(channels.shape[1:], old, new)
    expected = resample_data_or_seg_to_shape(filtered.copy(), shape, old, new, **kwargs)
    before = channels.copy()
    ours = resample(channels, old, new, order, low_pass_ratio=1.5).numpy()
    assert ours.dtype == np.float32 and ours.shape == expected.shape and ours.flags.c_contiguous
    np.testing.assert_allclose(ours[1:], expected[1:], atol=1e-5)  # guidance is not filtered
    within = (expected[0] > filtered[0].min()) & (expected[0] < filtered[0].max())
    if order == 3 and "thick" in name:  # nnU-Net clips to each slice's range after the filter
        close = np.isclose(ours[0], expected[0], atol=1e-5)
        assert close.mean() > 0.97
    else:
        np.testing.assert_allclose(ours[0][within], expected[0][within], atol=1e-5)
    np.testing.assert_array_equal(channels, before)
    doubled = resample(channels, old, new, order, prepare=lambda part: part.mul_(2), low_pass_ratio=1.5)
    np.testing.assert_allclose(doubled, 2 * ours, atol=2e-5)


@pytest.mark.parametrize("ratio", [None, 1.9])
@pytest.mark.parametrize("name", ["mixed", "thick slices", "same"])
def test_nothing_is_filtered_that_does_not_go_down_by_more_than_the_ratio(name, ratio):
    old, new = SPACINGS[name]
    step = max(wanted / have for have, wanted in zip(old, new, strict=True))
    channels = np.random.default_rng(0).normal(size=(2, 12, 15, 17)).astype(np.float32)
    plain = resample(channels, old, new, 3)
    assert torch.equal(resample(channels, old, new, 3, low_pass_ratio=ratio), plain) == (ratio is None or step <= ratio)


def test_a_spline_that_dies_away_leaves_no_denormal_numbers():
    channels = np.zeros((1, 60, 300, 300), np.float32)
    channels[:, 30:, 250:, 250:] = 1
    ours = resample(channels, (2.0, 1.0, 1.0), (3.0, 3.0, 3.0), 3).abs()
    smallest = torch.finfo(torch.float32).tiny
    assert not ((ours > 0) & (ours < smallest)).any()


@pytest.mark.parametrize("zeros", [(0, 0, 0), (3, 0, 0), (0, 2, 1), (4, 5, 6)])
def test_box_is_nnunets_crop(zeros):
    rng = np.random.default_rng(1)
    channels = rng.integers(-2, 3, (2, 14, 15, 16)).astype(np.float32)
    channels[:, : zeros[0]] = channels[:, :, len(channels[0]) + 1 - zeros[1] :] = channels[..., : zeros[2]] = 0
    _, _, expected = crop_to_nonzero(channels)
    assert [list(span) for span in nonzero_box(channels)] == [list(map(int, span)) for span in expected]
    assert nonzero_box(torch.zeros(1, 4, 5, 6)) == ((0, 4), (0, 5), (0, 6))
