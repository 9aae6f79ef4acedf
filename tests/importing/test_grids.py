"""Masks of other extents and orientations, against SimpleITK's resampling."""

import numpy as np
import pytest
import SimpleITK as sitk
from made_cts import image_of

from soars_nnunet.errors import InputError
from soars_nnunet.importing.grids import commonest_grid, place_on_grid, same_grid

SPACING = (1.0, 1.5, 3.0)
GRID = image_of(np.zeros((12, 13, 14), np.int16), SPACING, origin=(-20.0, 7.0, 100.0))


def random_mask(shape, first=(0, 0, 0), seed=0):
    """Labels on a grid of the same voxels whose first one is the grid's voxel ``first`` (x, y, z)."""
    array = np.random.default_rng(seed).integers(0, 5, shape).astype(np.uint8)
    origin = GRID.TransformContinuousIndexToPhysicalPoint([float(index) for index in first])
    return image_of(array, SPACING, origin=origin)


@pytest.mark.parametrize("orientation", ["LPS", "RAI", "SAL", "PIR"])
@pytest.mark.parametrize(
    ("shape", "first"),
    [((12, 13, 14), (0, 0, 0)), ((5, 6, 7), (3, 2, 4)), ((20, 9, 30), (-4, 2, -6)), ((3, 3, 3), (40, 0, 0))],
)
def test_masks_are_placed_as_resampling_does_it(shape, first, orientation):
    image = sitk.DICOMOrient(random_mask(shape, first), orientation)
    placed = place_on_grid(image, GRID, "mask.nrrd")
    expected = sitk.GetArrayFromImage(sitk.Resample(image, GRID, sitk.Transform(), sitk.sitkNearestNeighbor))
    np.testing.assert_array_equal(placed.array, expected)
    assert placed.moved == (not same_grid(image, GRID))
    total = np.count_nonzero(sitk.GetArrayViewFromImage(image))
    assert placed.lost == total - np.count_nonzero(expected)


@pytest.mark.parametrize("what", ["half a voxel", "spacing", "direction"])
def test_voxels_that_do_not_lie_on_the_grid_are_refused(what):
    image = random_mask((12, 13, 14), (0.5, 0, 0) if what == "half a voxel" else (0, 0, 0))
    if what == "spacing":
        image.SetSpacing((1.0, 1.5, 3.1))
    if what == "direction":
        turn = np.deg2rad(2)
        image.SetDirection((np.cos(turn), -np.sin(turn), 0, np.sin(turn), np.cos(turn), 0, 0, 0, 1))
    with pytest.raises(InputError, match=r"mask.nrrd: expected the grid of the CT, 14 x 13 x 12 voxels of 1 x 1.5 x 3"):
        place_on_grid(image, GRID, "mask.nrrd")


def test_rounding_is_the_same_grid():
    near = image_of(np.zeros((12, 13, 14), np.int16), (1.0005, 1.5, 3.0), origin=(-20.005, 7.0, 100.0))
    assert same_grid(near, GRID)
    assert not same_grid(image_of(np.zeros((12, 13, 14), np.int16), (1.002, 1.5, 3.0), origin=(-20, 7, 100)), GRID)
    assert not same_grid(sitk.Image((14, 13), sitk.sitkUInt8), GRID)


def test_the_commonest_grid_of_files_counts_the_readable_ones(tmp_path):
    others = [random_mask((12, 13, 14)), random_mask((12, 13, 14)), random_mask((5, 6, 7), (3, 2, 4))]
    paths = []
    for index, image in enumerate(others):
        paths.append(tmp_path / f"{index}.nrrd")
        sitk.WriteImage(image, str(paths[-1]))
    (tmp_path / "damaged.nrrd").write_bytes(b"hello")
    sitk.WriteImage(others[2][:, :, 0], str(tmp_path / "flat.nrrd"))
    found = commonest_grid([tmp_path / "flat.nrrd", tmp_path / "damaged.nrrd", *reversed(paths)])
    assert same_grid(found, GRID) and found.GetPixelID() == sitk.sitkUInt8
    assert commonest_grid([tmp_path / "damaged.nrrd"]) is None
    assert commonest_grid([]) is None
