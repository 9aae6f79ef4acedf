"""Signed distances against brute force: points of the surface, spheres along a polyline, counted voxels."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from soars_nnunet.phantom.shapes import Shape

RNG = np.random.default_rng(0)
POINTS = RNG.uniform(-30, 30, (6000, 3))
COORDS = tuple(POINTS.T.astype(np.float32))


def turn(rotate_deg):
    """Matrix from the shape's own (x, y, z) to the canonical one: about z, then y, then x."""
    return Rotation.from_euler("zyx", rotate_deg, degrees=True).as_matrix()


@pytest.mark.parametrize("size", [0.9, 1.0, 1.2])
def test_a_sphere_is_exact(size):
    shape = Shape.from_dict({"kind": "ellipsoid", "points": [[3, -2, 5]], "radii": [8, 8, 8]})
    expected = np.linalg.norm(POINTS - (3, -2, 5), axis=1) - 8 * size
    np.testing.assert_allclose(shape.distance(COORDS, size), expected, atol=1e-4)


@pytest.mark.parametrize("rotate_deg", [(0, 0, 0), (30, -20, 50)])
def test_an_ellipsoid_has_the_right_sign_everywhere_and_is_near_the_distance_at_its_surface(rotate_deg):
    row = {"kind": "ellipsoid", "points": [[3, -2, 5]], "radii": [14, 8, 11], "rotate_deg": rotate_deg}
    distance = Shape.from_dict(row).distance(COORDS, 1.0)
    own_xyz = (POINTS - (3, -2, 5))[:, ::-1] @ turn(rotate_deg)
    level = np.linalg.norm(own_xyz / (11, 8, 14), axis=1)
    np.testing.assert_array_equal(distance < 0, level < 1)
    directions = RNG.normal(size=(200_000, 3))
    surface = directions / np.linalg.norm(directions, axis=1, keepdims=True) * (11, 8, 14)
    true_mm = cKDTree(surface).query(own_xyz)[0]
    near = true_mm < 1.5
    assert near.sum() > 50
    np.testing.assert_allclose(np.abs(distance[near]), true_mm[near], atol=0.25)


@pytest.mark.parametrize("rotate_deg", [(0, 0, 0), (30, -20, 50)])
@pytest.mark.parametrize("rounding", [0.0, 3.0])
def test_a_box_is_exact_on_both_sides_of_its_surface(rounding, rotate_deg):
    half = (12, 7, 9)
    row = {"kind": "box", "points": [[0, 4, -3]], "radii": half, "round": rounding, "rotate_deg": rotate_deg}
    distance = Shape.from_dict(row).distance(COORDS, 1.0)
    own = ((POINTS - (0, 4, -3))[:, ::-1] @ turn(rotate_deg))[:, ::-1]
    inner = np.asarray(half) - rounding
    from_inner_mm = np.linalg.norm(own - np.clip(own, -inner, inner), axis=1)
    outside = from_inner_mm > 0
    np.testing.assert_allclose(distance[outside], from_inner_mm[outside] - rounding, atol=1e-4)
    to_a_face_mm = (np.asarray(half) - np.abs(own)).min(axis=1)
    np.testing.assert_allclose(distance[~outside], -to_a_face_mm[~outside], atol=1e-4)


def test_a_tube_is_the_union_of_spheres_along_its_line():
    points, radii = np.array([[-20, 0, 0], [0, 5, 8], [20, -4, 10.0]]), np.array([3, 3, 3.0])
    shape = Shape.from_dict({"kind": "tube", "points": points.tolist(), "radii": radii.tolist()})
    share = np.linspace(0, 1, 2001)[:, None]
    centres = np.concatenate([points[i] * (1 - share) + points[i + 1] * share for i in range(2)])
    expected = cKDTree(centres).query(POINTS)[0] - 3
    np.testing.assert_allclose(shape.distance(COORDS, 1.0), expected, atol=1e-2)


def test_a_hollow_tube_is_its_wall_and_a_stretched_one_is_flat():
    row = {"kind": "tube", "points": [[-40, 0, 0], [40, 0, 0]], "radii": [8, 8]}
    across = np.hypot(POINTS[:, 1], POINTS[:, 2])
    wall = Shape.from_dict({**row, "hollow": 2}).distance(COORDS, 1.0)
    np.testing.assert_array_equal(wall < 0, (across < 8) & (across > 6))
    flat = Shape.from_dict({**row, "stretch": [1, 0.5, 2]}).distance(COORDS, 1.0)
    np.testing.assert_array_equal(flat < 0, np.hypot(POINTS[:, 1] / 0.5, POINTS[:, 2] / 2) < 8)


SOLIDS = {
    "ellipsoid": {"kind": "ellipsoid", "points": [[0, 0, 0]], "radii": [12, 7, 9]},
    "box": {"kind": "box", "points": [[0, 0, 0]], "radii": [12, 7, 9]},
    "tube": {"kind": "tube", "points": [[-24, 0, 0], [24, 0, 0]], "radii": [3, 3]},
    "hollow tube": {"kind": "tube", "points": [[-24, 0, 0], [24, 0, 0]], "radii": [6, 6], "hollow": 2},
}


@pytest.mark.parametrize("name", SOLIDS)
def test_volumes_and_bounds_agree_with_counted_voxels(name):
    shape = Shape.from_dict(SOLIDS[name])
    axes = [np.arange(-34.75, 35, 0.5, np.float32)] * 3
    grid = np.meshgrid(*axes, indexing="ij")
    inside = shape.distance(tuple(grid), 1.0) < 0
    counted = np.count_nonzero(inside) * 0.5**3
    caps = 4 / 3 * np.pi * 3**3 if name == "tube" else 0  # rounded ends are not in the nominal volume
    if name != "hollow tube":
        assert shape.volume() == pytest.approx(counted - caps, rel=0.05)
    else:
        assert shape.volume() == pytest.approx(np.pi * (6**2 - 4**2) * 48)
    low, high = shape.bounds(1.0)
    found = np.argwhere(inside) * 0.5 - 34.75
    assert (found >= low - 1e-6).all() and (found <= high + 1e-6).all()
