"""Heat maps, peaks, VOI sizes and boxes against direct computation."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from soars_nnunet.geometry.grid import Grid
from soars_nnunet.geometry.heatmaps import gaussian_heatmaps, heatmap_peaks
from soars_nnunet.geometry.organ_centers import organ_centers_mm
from soars_nnunet.geometry.voi import crop_box, sample_on_box, target_extents_mm, voi_box, voi_size_mm

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


@pytest.fixture(params=[np.uint8, np.int8, np.int16])
def labels(request):
    volume = np.zeros((10, 12, 14), dtype=request.param)
    volume[2:4, 3:7, 5] = 1
    volume[8, 9:11, 2:13] = 2
    volume[5, 5, 5] = 3
    if request.param is not np.uint8:
        volume[0] = -1  # nnU-Net's mark for outside the non-zero region
    return volume


def test_centers_and_extents_of_unions(labels):
    targets = [(1,), (1, 2), (3,), (4,), (9, 3)]
    centers = organ_centers_mm(labels, targets, SPACING)
    extents = target_extents_mm(labels, targets, SPACING)
    assert centers.shape == extents.shape == (5, 3)
    for target, center, extent in zip(targets, centers, extents, strict=True):
        voxels = np.argwhere(np.isin(labels, target))
        if not len(voxels):
            assert np.isnan(center).all() and np.isnan(extent).all()
            continue
        np.testing.assert_allclose(center, voxels.mean(0) * SPACING)
        np.testing.assert_allclose(extent, (np.ptp(voxels, axis=0) + 1) * SPACING)
    assert organ_centers_mm(labels, [], SPACING).shape == target_extents_mm(labels, [], SPACING).shape == (0, 3)


def test_voi_size_is_three_times_the_largest_over_cases():
    nan = [np.nan] * 3
    extents = [[[1, 2, 3], nan], [[3, 1, 2], [4, 4, 4]]]
    np.testing.assert_allclose(voi_size_mm(extents), [[9, 6, 9], [12, 12, 12]])
    np.testing.assert_allclose(voi_size_mm(extents, factor=2), [[6, 4, 6], [8, 8, 8]])
    with pytest.raises(ValueError, match="in at least one of 1 cases, got none with target 1"):
        voi_size_mm(extents[:1])
    with pytest.raises(ValueError, match="expected extents"):
        voi_size_mm(np.zeros((0, 2, 3)))


def test_voi_box_has_one_size_but_for_ties_and_is_centred():
    rng = np.random.default_rng(0)
    for _ in range(200):
        size, spacing = rng.uniform(5, 60, 3), rng.uniform(0.5, 5, 3)
        center = rng.uniform(-20, 50, 3)
        box = np.array(voi_box(center, size, spacing))
        np.testing.assert_array_equal(box[:, 1] - box[:, 0], np.ceil(size / spacing))
        assert (np.abs((box[:, 0] + box[:, 1] - 1) / 2 - center) <= 0.5).all()
    assert voi_box((5, 5, 5), (3, 5, 7), (1, 1, 1)) == ((4, 7), (3, 8), (2, 9))
    assert voi_box((5, 5, 5), (3 * 10.2, 3 * 0.1, 0.3), (1.02, 0.1, 0.1))[0] == (-10, 21)
    assert voi_box((5, 5.5, 5), (4, 3, 4.5), (1, 1, 1)) == ((3, 8), (4, 8), (3, 8)), "ties are one voxel longer"
    for center in rng.integers(0, 40, (50, 3)) / 2:
        box, other = (np.array(voi_box(c, (7, 8, 9.5), (1, 1, 1))) for c in (center, 19 - center))
        np.testing.assert_array_equal(other, 20 - box[:, ::-1])
    for wrong in ((np.nan, 0, 0), (1, 1, 1), (-1, 1, 1)), ((0, 0, 0), (-1, 1, 1), (1, 1, 1)):
        with pytest.raises(ValueError, match="finite centre"):
            voi_box(*wrong)


@pytest.mark.parametrize(
    "box",
    [((1, 4), (2, 5), (0, 7)), ((-3, 2), (3, 9), (6, 12)), ((-2, 8), (-2, 8), (-2, 12)), ((9, 12), (0, 2), (0, 2))],
)
def test_crop_box_pads_outside(box):
    image = np.random.default_rng(0).integers(1, 100, (2, 5, 6, 7)).astype(np.int16)
    cropped = crop_box(image, box, fill=-1024)
    padded = np.pad(image, [(0, 0)] + [(20, 20)] * 3, constant_values=-1024)
    expected = padded[(slice(None), *(slice(lo + 20, hi + 20) for lo, hi in box))]
    assert cropped.dtype == image.dtype
    np.testing.assert_array_equal(cropped, expected)
    np.testing.assert_array_equal(crop_box(image[0], box, -1024), expected[0])
    assert not np.shares_memory(cropped, image)


@pytest.mark.parametrize("box", [((3, 9), (4, 8), (5, 11)), ((-4, 6), (12, 25), (0, 16)), ((30, 35), (0, 4), (0, 4))])
def test_sample_on_box_equals_full_interpolation_padded_with_zeros(box):
    grid = Grid((16, 18, 20), ((2, 15), (1, 18), (3, 19)), (7, 9, 20), (3.0, 1.0, 1.0))
    volume = torch.rand(3, *grid.shape)
    full = functional.interpolate(volume[None], grid.crop_shape, mode="trilinear", align_corners=False)[0].numpy()
    image = np.zeros((3, *grid.image_shape), dtype=np.float32)
    image[(slice(None), *(slice(lo, hi) for lo, hi in grid.crop))] = full
    for given in (volume, volume.numpy()):
        sampled = sample_on_box(given, grid, box)
        assert sampled.dtype == torch.float32
        np.testing.assert_allclose(sampled, crop_box(image, box, 0), atol=1e-6)


def test_empty_boxes_are_refused():
    with pytest.raises(ValueError, match="at least one voxel per axis"):
        crop_box(np.zeros((3, 3, 3)), ((0, 1), (2, 2), (0, 1)), 0)


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
