"""Surface metrics against four witnesses: analytic values, brute force in float64, SimpleITK and MONAI.

MONAI's sub-voxel surface DSC is google-deepmind/surface-distance's; scripts/experiments/interobserver.py
runs that package itself.
"""

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

from soars_nnunet.evaluation.surface import (
    compare_masks,
    dice,
    pieces,
    surface_dice,
    surface_distances_mm,
    surface_elements,
    surface_voxels,
)

SPACINGS = [(1.0, 1.0, 1.0), (3.0, 1.25, 0.8), (0.5, 2.0, 2.0)]
SHAPE = (12, 16, 20)


def ball(shape, center_vox, radius_mm, spacing_mm):
    grid = np.indices(shape).astype(float)
    square = sum(((g - c) * s) ** 2 for g, c, s in zip(grid, center_vox, spacing_mm, strict=True))
    return square <= radius_mm**2


def box(shape, start, stop):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return mask


def blob(seed):
    """Rough, several components, touches the border."""
    field = np.random.default_rng(seed).normal(size=(10, 14, 12))
    for axis in range(3):
        field = field + np.roll(field, 1, axis) + np.roll(field, -1, axis)
    return field > 4.0


def speckle(seed):
    """Single voxels, edges and corners that touch: every neighbourhood of a surface occurs."""
    return np.random.default_rng(seed).random((9, 10, 11)) < 0.4


CUBE = box(SHAPE, (3, 4, 5), (6, 9, 12))
SHAPES = {
    "blobs": (blob(0), blob(10)),
    "more blobs": (blob(1), blob(11)),
    "speckles": (speckle(0), speckle(1)),
    "boxes": (CUBE, np.roll(CUBE, (2, 1, 3), (0, 1, 2))),
    "far stray": (CUBE | box(SHAPE, (0, 0, 0), (1, 1, 1)), CUBE),
    "hollow": (CUBE & ~box(SHAPE, (4, 6, 7), (5, 8, 10)), CUBE),
    "whole": (np.ones(SHAPE, bool), CUBE),
    "planes": (box(SHAPE, (4, 0, 0), (5, 16, 20)), box(SHAPE, (7, 0, 0), (8, 16, 20))),
}
every_shape = pytest.mark.parametrize("name", SHAPES)
every_spacing = pytest.mark.parametrize("spacing_mm", SPACINGS)


def surface_points_mm(mask, spacing_mm):
    """Voxels with a face neighbour outside, one by one, float64."""
    padded = np.pad(mask, 1)
    inside = np.ones_like(mask)
    for axis in range(3):
        for step in (-1, 1):
            inside &= np.roll(padded, step, axis)[1:-1, 1:-1, 1:-1]
    return np.argwhere(mask & ~inside).astype(np.float64) * spacing_mm


def brute_force(a, b, spacing_mm):
    """All distances between all surface voxels: from a, from b."""
    points_a, points_b = surface_points_mm(a, spacing_mm), surface_points_mm(b, spacing_mm)
    distances = np.sqrt(((points_a[:, None] - points_b[None]) ** 2).sum(-1))
    return distances.min(1), distances.min(0)


def itk_image(array, spacing_mm):
    image = sitk.GetImageFromArray(array.astype(np.uint8))
    image.SetSpacing(spacing_mm[::-1])
    return image


def batch(mask):
    return torch.from_numpy(mask[None, None].astype(np.float32))


@every_spacing
@every_shape
def test_matches_brute_force(name, spacing_mm):
    a, b = SHAPES[name]
    forth, back = brute_force(a, b, np.array(spacing_mm))
    found = compare_masks(a, b, spacing_mm)
    assert found.hd_mm == pytest.approx(max(forth.max(), back.max()), abs=1e-9)
    assert found.asd_mm == pytest.approx((forth.sum() + back.sum()) / (forth.size + back.size), abs=1e-9)
    assert found.hd95_mm == pytest.approx(max(np.percentile(forth, 95), np.percentile(back, 95)), abs=1e-9)


@every_spacing
@every_shape
def test_matches_simpleitk(name, spacing_mm):
    a, b = (np.pad(mask, 1) for mask in SHAPES[name])
    images = [itk_image(mask, spacing_mm) for mask in (a, b)]
    overlap = sitk.LabelOverlapMeasuresImageFilter()
    overlap.Execute(*images)
    assert dice(a, b) == pytest.approx(overlap.GetDiceCoefficient(), abs=1e-12)
    hausdorff = sitk.HausdorffDistanceImageFilter()
    hausdorff.Execute(*(sitk.LabelContour(image, False) for image in images))
    found = compare_masks(a, b, spacing_mm)
    assert found.hd_mm == pytest.approx(hausdorff.GetHausdorffDistance(), abs=1e-4)  # ITK's distance maps are float32


@every_spacing
@every_shape
def test_matches_monai(name, spacing_mm):
    a, b = SHAPES[name]
    found = compare_masks(a, b, spacing_mm, 2.0)
    options = {"include_background": True, "spacing": spacing_mm}
    hd, hd95 = (compute_hausdorff_distance(batch(a), batch(b), percentile=p, **options).item() for p in (None, 95))
    assert (found.hd_mm, found.hd95_mm) == (pytest.approx(hd, abs=1e-5), pytest.approx(hd95, abs=1e-5))
    asd = compute_average_surface_distance(batch(a), batch(b), symmetric=True, **options).item()
    assert found.asd_mm == pytest.approx(asd, abs=1e-5)
    for tolerance in (0.4, 2.0, 3.7):
        theirs = compute_surface_dice(batch(a), batch(b), [tolerance], use_subvoxels=True, **options).item()
        assert surface_dice(a, b, spacing_mm, tolerance) == pytest.approx(theirs, abs=1e-6)


@every_spacing
def test_shifted_box_is_analytic(spacing_mm):
    shifted = np.roll(CUBE, 2, 0)
    found = compare_masks(CUBE, shifted, spacing_mm)
    assert found.dsc == pytest.approx(1 / 3)
    assert found.hd_mm == pytest.approx(2 * spacing_mm[0])


def test_areas_of_a_box_are_its_faces():
    spacing_mm = (3.0, 1.25, 0.8)
    size_mm = np.array((40, 60, 80)) * spacing_mm
    corners, areas = surface_elements(box((44, 64, 84), (2, 2, 2), (42, 62, 82)), spacing_mm)
    faces = 2 * (size_mm[0] * size_mm[1] + size_mm[0] * size_mm[2] + size_mm[1] * size_mm[2])
    assert areas.sum() == pytest.approx(faces, rel=0.02)  # edges and corners are bevelled by half a voxel
    inner = (corners > 2).all(1) & (corners < (42, 62, 82)).all(1)
    assert not inner.any()
    flat = (corners[:, 0] == 2) & (np.abs(corners[:, 1] - 32) < 20) & (np.abs(corners[:, 2] - 42) < 20)
    np.testing.assert_allclose(areas[flat], 1.25 * 0.8)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (2.5, 1.0, 1.0)])
def test_concentric_spheres_are_their_radii_apart(spacing_mm):
    shape = tuple(int(56 / s) | 1 for s in spacing_mm)
    center = [(n - 1) / 2 for n in shape]
    small, large = (ball(shape, center, radius, spacing_mm) for radius in (18.0, 23.0))
    found = compare_masks(small, large, spacing_mm, 5.0 + np.linalg.norm(spacing_mm))
    voxel_mm = np.linalg.norm(spacing_mm)  # both surfaces lie up to one diagonal inside of the spheres
    assert found.dsc == pytest.approx(2 * 18**3 / (18**3 + 23**3), abs=0.01)
    for distance_mm in (found.hd_mm, found.hd95_mm, found.asd_mm):
        assert abs(distance_mm - 5.0) < voxel_mm
    assert abs(found.asd_mm - 5.0) < 0.5 * max(spacing_mm)
    assert found.surface_dsc == 1.0
    assert surface_dice(small, large, spacing_mm, 5.0 - voxel_mm) == 0.0
    areas = surface_elements(large, spacing_mm)[1]
    assert areas.sum() == pytest.approx(4 * np.pi * 23**2, rel=0.16)  # stairs are up to a sixth larger than the sphere


def test_robust_distance_ignores_a_twentieth_of_the_surface():
    sheet = box((3, 40, 40), (1, 0, 0), (2, 40, 40))
    bumped = sheet | box((3, 40, 40), (2, 0, 0), (3, 5, 5))
    assert compare_masks(bumped, sheet, (10.0, 1.0, 1.0)).hd95_mm == 0.0
    assert compare_masks(bumped, sheet, (10.0, 1.0, 1.0)).hd_mm == 10.0


def test_a_distance_of_exactly_the_tolerance_is_met():
    spacing_mm = (2.5, np.float32(1.01), np.float32(1.01))
    shifted = np.roll(CUBE, 1, 2)
    assert surface_dice(CUBE, shifted, spacing_mm, 1.01) == 1.0
    assert surface_dice(CUBE, shifted, spacing_mm, 1.0) < 1.0


def test_single_voxels_are_their_distance_apart():
    a, b = box(SHAPE, (1, 2, 3), (2, 3, 4)), box(SHAPE, (3, 6, 13), (4, 7, 14))
    expected = np.sqrt((2 * 3.0) ** 2 + (4 * 1.25) ** 2 + (10 * 0.8) ** 2)
    found = compare_masks(a, b, SPACINGS[1], 1.0)
    assert (found.hd_mm, found.hd95_mm, found.asd_mm) == pytest.approx((expected,) * 3)
    assert (found.dsc, found.surface_dsc) == (0.0, 0.0)


def test_identical_masks_have_no_distance():
    found = compare_masks(CUBE, CUBE, SPACINGS[1], 0.0)
    assert (found.dsc, found.hd_mm, found.hd95_mm, found.asd_mm, found.surface_dsc) == (1.0, 0.0, 0.0, 0.0, 1.0)


def test_empty_masks():
    empty = np.zeros(SHAPE, bool)
    assert np.isnan(dice(empty, empty)) and dice(empty, CUBE) == 0.0
    assert np.isnan(surface_dice(empty, empty, SPACINGS[0], 1.0)) and surface_dice(CUBE, empty, SPACINGS[0], 1.0) == 0.0
    found = compare_masks(CUBE, empty, SPACINGS[0])
    assert np.isnan([found.hd_mm, found.hd95_mm, found.asd_mm]).all() and found.surface_dsc is None
    assert [d.size for d in surface_distances_mm(CUBE, empty, SPACINGS[0])] == [0, 0]


@pytest.mark.parametrize("tolerance_mm", [-1.0, float("nan"), float("inf")])
def test_tolerances_that_are_none(tolerance_mm):
    with pytest.raises(ValueError, match="expected a tolerance"):
        surface_dice(CUBE, CUBE, SPACINGS[0], tolerance_mm)


@every_shape
def test_pieces_cover_every_voxel_once_and_surfaces_do_not_depend_on_them(name):
    mask = SHAPES[name][0]
    covered = np.zeros(mask.shape, int)
    for start, piece in pieces(mask):
        part = tuple(slice(s, s + n) for s, n in zip(start, piece.shape, strict=True))
        covered[part] += piece
        assert all(piece.any(axis=tuple(a for a in range(3) if a != axis)).all() for axis in range(3))
    np.testing.assert_array_equal(covered, mask)
    expected = surface_points_mm(mask, np.ones(3))
    np.testing.assert_array_equal(np.unique(surface_voxels(mask), axis=0), np.unique(expected, axis=0))


def test_strays_do_not_make_large_pieces():
    mask = box((200, 200, 200), (10, 10, 10), (20, 20, 20))
    mask[190, 12, 12] = mask[12, 190, 190] = True
    assert sorted(piece.size for _, piece in pieces(mask)) == [1, 1, 1000]
