"""Sigma and weights of the low pass against scikit-image's and scipy's."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from skimage.transform import resize

from soars_nnunet.geometry.low_pass import low_pass_matrix, low_pass_sigmas, sigma_voxels


def test_only_axes_that_go_down_by_more_than_the_ratio_get_a_sigma():
    assert low_pass_sigmas((2.0, 1.0, 1.0), (3.0, 1.5, 4.0), 1.5) == (0.0, 0.0, 1.5)
    assert low_pass_sigmas((2.0, 1.0, 1.0), (3.0, 1.5, 4.0), 1.4) == (0.25, 0.25, 1.5)
    assert low_pass_sigmas((2.0, 1.0, 1.0), (30.0, 15.0, 40.0), None) == (0.0, 0.0, 0.0)
    assert low_pass_sigmas((3.0, 3.0, 3.0), (1.0, 1.0, 1.0), 1.5) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("step", [2, 4])
def test_sigma_is_what_scikit_image_takes_against_aliasing(step):
    line = np.random.default_rng(0).normal(size=(8 * step, 1))
    theirs = resize(line, (8, 1), order=3, mode="edge", anti_aliasing=True, clip=False)
    filtered = low_pass_matrix(len(line), sigma_voxels(step)) @ line
    ours = resize(filtered, (8, 1), order=3, mode="edge", anti_aliasing=False, clip=False)
    np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert sigma_voxels(0.5) == 0


@pytest.mark.parametrize("size", [1, 2, 30])
def test_the_matrix_is_scipys_filter(size):
    line = np.random.default_rng(0).normal(size=size)
    np.testing.assert_allclose(low_pass_matrix(size, 1.3) @ line, gaussian_filter1d(line, 1.3, mode="nearest"))
    np.testing.assert_array_equal(low_pass_matrix(size, 0.0), np.eye(size))
