"""VOI sizes and boxes against direct computation."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from soars_nnunet.geometry.grid import Grid
from soars_nnunet.geometry.voi import crop_box, sample_on_box, target_extents_mm, voi_box, voi_size_mm

SPACING = np.array([3.0, 1.0, 1.5])


def test_extents_of_unions(labels):
    targets = [(1,), (1, 2), (3,), (4,), (9, 3)]
    extents = target_extents_mm(labels, targets, SPACING)
    assert extents.shape == (5, 3)
    for target, extent in zip(targets, extents, strict=True):
        voxels = np.argwhere(np.isin(labels, target))
        if len(voxels):
            np.testing.assert_allclose(extent, (np.ptp(voxels, axis=0) + 1) * SPACING)
        else:
            assert np.isnan(extent).all()
    assert target_extents_mm(labels, [], SPACING).shape == (0, 3)


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
