"""Coordinates and interpolation weights against torch's interpolation, boxes against arrays."""

import numpy as np
import pytest
import torch
from example_grids import GRIDS
from torch.nn import functional

from soars_nnunet.geometry.grid import Grid, box_intersection, box_overlap, box_slices
from soars_nnunet.geometry.stitch import interpolate_box


@pytest.mark.parametrize("name", GRIDS)
def test_grid_maps_faces_to_faces_and_back(name):
    grid = GRIDS[name]
    faces_net = np.array([[-0.5] * 3, np.array(grid.shape) - 0.5])
    faces_image = np.array(grid.crop).T - 0.5
    np.testing.assert_allclose(grid.to_image(faces_net), faces_image)
    points = np.random.default_rng(0).uniform(-3, 30, size=(50, 3))
    np.testing.assert_allclose(grid.to_network(grid.to_image(points)), points, atol=1e-9)
    assert grid.to_image(points[0]).shape == (3,) and grid.to_image(np.zeros((0, 3))).shape == (0, 3)
    extent = np.array(grid.spacing_mm) * grid.shape
    np.testing.assert_allclose(extent, np.array(grid.crop_shape) * grid.image_spacing_mm)


@pytest.mark.parametrize("name", GRIDS)
def test_grid_coordinates_agree_with_interpolation(name):
    """Interpolating the network's own voxel coordinate gives to_network, clamped at the edges."""
    grid = GRIDS[name]
    for axis in range(3):
        ramp = torch.arange(grid.shape[axis]).float().view([-1 if a == axis else 1 for a in range(3)])
        values = interpolate_box(ramp.expand(grid.shape), grid, grid.crop)
        points = np.array([lo for lo, _ in grid.crop]) + np.indices(grid.crop_shape).reshape(3, -1).T
        expected = np.clip(grid.to_network(points)[:, axis], 0, grid.shape[axis] - 1)
        np.testing.assert_allclose(values.reshape(-1).numpy(), expected, atol=1e-5)


def test_grid_from_nnunet_properties():
    properties = {
        "shape_before_cropping": (30, 28, 32),
        "bbox_used_for_cropping": [[2, 29], [0, 28], [3, 30]],
        "spacing": [2.5, 1.0, 1.0],
    }
    assert Grid.from_properties(properties, np.array([13, 11, 17])) == GRIDS["upsampled"]
    with pytest.raises(ValueError, match="none named bbox_used_for_cropping"):
        Grid.from_properties({k: v for k, v in properties.items() if not k.startswith("bbox")}, (13, 11, 17))
    with pytest.raises(ValueError, match="non-empty crop inside"):
        Grid.from_properties({**properties, "shape_before_cropping": (20, 28, 32)}, (13, 11, 17))


def test_box_overlap_pastes_what_lies_inside():
    image = np.zeros((5, 6, 7), dtype=int)
    box = ((-2, 3), (4, 9), (1, 4))
    boxed = np.arange(5 * 5 * 3).reshape(5, 5, 3)
    on_image, on_box = box_overlap(box, image.shape)
    image[on_image] = boxed[on_box]
    np.testing.assert_array_equal(image[0:3, 4:6, 1:4], boxed[2:5, 0:2])
    on_image, on_box = box_overlap(((5, 8), (0, 2), (0, 2)), image.shape)
    assert image[on_image].size == 0 and boxed[on_box].size == 0


@pytest.mark.parametrize("name", GRIDS)
def test_axis_weights_are_torchs_linear_interpolation(name):
    grid = GRIDS[name]
    for axis, (lo, hi) in enumerate(grid.crop):
        values = torch.rand(grid.shape[axis])
        expected = functional.interpolate(values[None, None], hi - lo, mode="linear", align_corners=False)[0, 0]
        i0, i1, w1 = grid.axis_weights(axis, lo, hi)
        assert (i0.dtype, i1.dtype, w1.dtype) == (np.int64, np.int64, np.float32)
        found = (1 - w1) * values.numpy()[i0] + w1 * values.numpy()[i1]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        part = grid.axis_weights(axis, lo, hi - (hi - lo) // 2)
        for whole, some in zip((i0, i1, w1), part, strict=True):
            np.testing.assert_array_equal(some, whole[: len(some)])
        assert all(len(found) == 0 for found in grid.axis_weights(axis, hi, hi))
        with pytest.raises(ValueError, match=f"axis {axis}: expected image voxels inside the crop"):
            grid.axis_weights(axis, lo - 1, hi)


WHOLE = {"image_shape": (4, 5, 6), "crop": ((0, 4), (0, 5), (0, 6)), "shape": (2, 2, 2), "image_spacing_mm": (1, 1, 1)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image_shape": (4, 5)}, "three axes everywhere"),
        ({"crop": ((0, 5), (0, 5), (0, 6))}, "non-empty crop inside"),
        ({"crop": ((2, 2), (0, 5), (0, 6))}, "non-empty crop inside"),
        ({"crop": ((-1, 4), (0, 5), (0, 6))}, "non-empty crop inside"),
        ({"shape": (2, 0, 2)}, "network shape of at least one voxel"),
        ({"image_spacing_mm": (1, 0, 1)}, "positive spacing in mm"),
        ({"image_spacing_mm": (1, float("nan"), 1)}, "positive spacing in mm"),
    ],
)
def test_grids_that_cannot_be_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        Grid(**{**WHOLE, **changed})


@pytest.mark.parametrize("seed", range(20))
def test_boxes_meet_where_their_voxels_do(seed):
    rng = np.random.default_rng(seed)
    shape = (8, 9, 10)

    def random_box():
        low = rng.integers(0, 8, 3)
        return tuple((int(lo), int(min(size, lo + rng.integers(0, 6)))) for lo, size in zip(low, shape, strict=True))

    first, second = random_box(), random_box()
    masks = np.zeros((2, *shape), bool)
    masks[0][box_slices(first)] = True
    masks[1][box_slices(second)] = True
    both = np.zeros(shape, bool)
    common = box_intersection(first, second)
    both[box_slices(common)] = True
    np.testing.assert_array_equal(both, masks[0] & masks[1])
    assert all(lo <= hi for lo, hi in common)
    indices = np.indices(shape)
    if both.any():
        cut = indices[(slice(None), *box_slices(first))][(slice(None), *box_slices(common, first))]
        np.testing.assert_array_equal(cut.reshape(3, -1).T, np.argwhere(both))
