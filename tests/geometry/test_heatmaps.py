"""Gaussian targets and peaks against direct computation."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from soars_nnunet.geometry.heatmaps import gaussian_heatmaps, heatmap_peaks

SPACING = np.array([3.0, 1.0, 1.5])


def coordinates_mm(shape, spacing=SPACING):
    return torch.from_numpy(np.indices(shape) * np.reshape(spacing, (3, 1, 1, 1))).float()[None]


def test_gaussian_heatmaps_in_mm_on_an_anisotropic_grid():
    centers = np.array([[9.0, 8.0, 9.0], [np.nan] * 3, [-6.0, 50.0, 4.5]])
    maps = gaussian_heatmaps(coordinates_mm((7, 16, 12)), torch.from_numpy(centers)[None], sigma_mm=8.0)
    assert maps.shape == (1, 3, 7, 16, 12) and maps.dtype == torch.float32
    assert maps[0, 0, 3, 8, 6] == 1
    one_sigma = np.exp(-0.5)
    assert maps[0, 0, 3, 0, 6] == pytest.approx(one_sigma, abs=1e-6)  # 8 voxels of 1 mm
    assert not maps[0, 1].any() and torch.isfinite(maps).all()
    for target in (0, 2):
        for voxel in ((0, 0, 0), (6, 15, 11), (2, 3, 4)):
            squared = ((voxel * SPACING - centers[target]) ** 2).sum()
            assert maps[0, target][voxel] == pytest.approx(np.exp(-squared / 128), abs=1e-6)


def test_gaussian_heatmaps_of_a_batch_keep_cases_apart_and_inputs_unchanged():
    coordinates = torch.cat([coordinates_mm((4, 5, 6)), coordinates_mm((4, 5, 6)) + 2])
    before = coordinates.clone()
    centers = torch.tensor([[[3.0, 2.0, 3.0]], [[5.0, 4.0, 5.0]]])
    maps = gaussian_heatmaps(coordinates, centers, 4.0)
    torch.testing.assert_close(maps[0], maps[1])
    torch.testing.assert_close(coordinates, before)
    assert gaussian_heatmaps(coordinates, torch.zeros(2, 0, 3), 4.0).shape == (2, 0, 4, 5, 6)


def test_gaussian_heatmaps_reject_bad_shapes():
    with pytest.raises(ValueError, match="expected coordinates"):
        gaussian_heatmaps(torch.zeros(1, 2, 3, 3, 3), torch.zeros(1, 1, 3), 8.0)
    with pytest.raises(ValueError, match=r"expected centres \(1, T, 3\), got \(2, 1, 3\)"):
        gaussian_heatmaps(coordinates_mm((3, 3, 3)), torch.zeros(2, 1, 3), 8.0)
    with pytest.raises(ValueError, match="positive sigma"):
        gaussian_heatmaps(coordinates_mm((3, 3, 3)), torch.zeros(1, 1, 3), 0.0)


def test_peaks_are_the_highest_voxels_refined():
    rng = np.random.default_rng(0)
    spacing = (2.5, 2.0, 2.0)
    raw_errors, errors = [], []
    for _ in range(40):
        center = rng.uniform(4, 12, 3)
        maps = gaussian_heatmaps(
            coordinates_mm((16, 16, 16), spacing), torch.from_numpy(center * spacing)[None, None], sigma_mm=8.0
        )[0]
        positions, heights = heatmap_peaks(maps)
        voxel = np.array(np.unravel_index(int(maps[0].argmax()), maps.shape[1:]))
        assert heights[0] == pytest.approx(float(maps.max()))
        assert (np.abs(positions[0] - voxel) <= 0.5).all()
        raw_errors.append(np.linalg.norm(voxel - center))
        errors.append(np.linalg.norm(positions[0] - center))
    assert np.mean(errors) < 0.75 * np.mean(raw_errors)


def test_peaks_of_maps_that_are_cut_off_lie_in_the_middle_and_mirrored_ones_mirrored():
    center = np.array([7.2, 6.9, 8.4])
    full = gaussian_heatmaps(coordinates_mm((15, 14, 17)), torch.from_numpy(center * SPACING)[None, None], sigma_mm=8.0)
    maps = full[0].clamp(max=0.8)
    maps[0, 0, 0, 0] = 0.8  # a stray voxel before the plateau
    assert (maps == 0.8).sum() > 20
    (position,), _ = heatmap_peaks(maps)
    assert np.abs(position - center).max() < 0.25
    (mirrored,), _ = heatmap_peaks(maps.flip(-1))
    np.testing.assert_allclose(mirrored, [*position[:2], 16 - position[2]], atol=1e-9)


def test_peaks_of_special_maps():
    maps = np.zeros((4, 5, 6, 7), dtype=np.float32)
    maps[0] = 0.25  # flat: the middle
    maps[1, 0, 5, 3] = 2  # on the border
    maps[2, 2, 2, 2] = maps[2, 2, 2, 3] = 1  # between two voxels
    maps[3] = -1
    maps[3, 4, 4, 4] = -0.5  # negative maps have a peak too
    positions, heights = heatmap_peaks(maps)
    np.testing.assert_allclose(positions, [[2, 2.5, 3], [0, 5, 3], [2, 2, 2.5], [4, 4, 4]])
    np.testing.assert_allclose(heights, [0.25, 2, 1, -0.5])
    positions, heights = heatmap_peaks(torch.zeros(0, 2, 2, 2))
    assert positions.shape == (0, 3) and heights.shape == (0,)
    with pytest.raises(ValueError, match="heat map 0: expected finite values"):
        heatmap_peaks(np.full((1, 2, 2, 2), np.nan))
    with pytest.raises(ValueError, match="expected heat maps"):
        heatmap_peaks(np.zeros((2, 2, 2)))


@pytest.mark.parametrize("seed", range(5))
def test_of_several_plateaus_the_largest_counts(seed):
    """The centroid of a plateau's box and one voxel around, found by labelling with scipy, one map at a time."""
    rng = np.random.default_rng(seed)
    heatmap = ndimage.gaussian_filter(rng.normal(size=(9, 20, 22)), 1.5)
    heatmap = np.minimum(heatmap, np.quantile(heatmap, 0.97))
    groups, count = ndimage.label(heatmap == heatmap.max(), np.ones((3, 3, 3)))
    sizes = [np.count_nonzero(groups == group + 1) for group in range(count)]
    assert count > 1
    voxels = np.argwhere(groups == 1 + int(np.argmax(sizes)))
    low, high = np.maximum(voxels.min(0) - 1, 0), voxels.max(0) + 2
    window = heatmap[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    weights = window - window.min()
    grid = np.indices(window.shape).reshape(3, -1)
    expected = low + (grid * weights.ravel()).sum(1) / weights.sum()
    (position,), (height,) = heatmap_peaks(heatmap[None])
    np.testing.assert_allclose(position, expected, atol=1e-9)
    assert height == heatmap.max()
