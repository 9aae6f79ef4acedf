"""Hausdorff distance of binarised heat maps against SimpleITK and known shifts."""

import numpy as np
import pytest
import SimpleITK as sitk
from guidance.sources import gaussian

from soars_nnunet.guidance.brightest import brightest_hd_mm


def test_hd_of_shifted_maps_is_the_shift():
    spacing = (3.0, 1.5, 1.5)
    maps = [gaussian((30, 40, 40), center, spacing) for center in ((12, 20, 18), (14, 20, 22))]
    assert brightest_hd_mm(maps[0], maps[0], spacing) == 0
    assert brightest_hd_mm(*maps, spacing) == pytest.approx(np.hypot(2 * 3.0, 4 * 1.5))


@pytest.mark.parametrize("count", [1, 7, 200])
def test_hd_equals_simpleitk(count):
    random, spacing = np.random.default_rng(count), (2.0, 1.0, 1.5)
    maps = random.permutation(2 * 9 * 10 * 11).reshape(2, 9, 10, 11).astype(float)
    images = []
    for heatmap in maps:
        images.append(sitk.GetImageFromArray((heatmap >= np.sort(heatmap.ravel())[-count]).astype(np.uint8)))
        images[-1].SetSpacing(spacing[::-1])
    measure = sitk.HausdorffDistanceImageFilter()
    measure.Execute(*images)
    assert brightest_hd_mm(*maps, spacing, count) == pytest.approx(measure.GetHausdorffDistance(), rel=1e-6)


def test_maps_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        brightest_hd_mm(np.zeros((3, 3, 3)), np.zeros((3, 3, 4)), (1, 1, 1))


def test_of_equal_voxels_the_first_are_kept_and_small_maps_are_kept_whole():
    first, second = np.zeros((2, 1, 1, 6))
    first[0, 0, :2] = second[0, 0, 3:5] = 1
    assert brightest_hd_mm(first, second, (1, 1, 2.0), 2) == 6
    assert brightest_hd_mm(first, second, (1, 1, 2.0), 6) == brightest_hd_mm(first, second, (1, 1, 2.0), 99) == 0
    # of the third, equal to all others, the first voxel that is left is taken: 2, and 0
    assert brightest_hd_mm(first, second, (1, 1, 2.0), 3) == 4
