"""Grids read from headers, against the arrays that nnU-Net's reader gives."""

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIOWithReorient

from soars_nnunet.errors import InputError
from soars_nnunet.planning.case_geometry import (
    CaseGeometry,
    median_spacing_mm,
    network_spacing_mm,
    read_geometry,
    shapes_at,
)

CASES = [CaseGeometry([10, 20, 30], [3.0, 1.0, 1.0]), CaseGeometry([20, 20, 30], [2.0, 1.0, 1.5])]


@pytest.mark.parametrize("axes", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1)])
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True)])
def test_a_header_tells_what_nnunets_reader_gives(tmp_path, axes, flips):
    image = sitk.Image(4, 5, 6, sitk.sitkInt16)
    image.SetSpacing((1.0, 2.0, 3.5))
    path = tmp_path / "ct.nii.gz"
    sitk.WriteImage(sitk.Flip(sitk.PermuteAxes(image, axes), flips), str(path))
    data, properties = SimpleITKIOWithReorient().read_images([str(path)])
    geometry = read_geometry(path)
    assert tuple(geometry.shape) == data.shape[1:]
    np.testing.assert_allclose(geometry.spacing_mm, properties["spacing"])


def test_the_network_has_the_median_spacing_or_the_wanted_one():
    np.testing.assert_array_equal(median_spacing_mm(CASES), [2.5, 1.0, 1.25])
    np.testing.assert_array_equal(network_spacing_mm(CASES, None), [2.5, 1.0, 1.25])
    np.testing.assert_array_equal(network_spacing_mm(CASES, (3.0, 2.0, 1.0)), [3.0, 2.0, 1.0])
    with pytest.raises(InputError, match="three positive numbers in mm"):
        network_spacing_mm(CASES, (3.0, 2.0, 0.0))


def test_sizes_at_another_spacing_keep_the_extent():
    shapes = shapes_at(CASES, np.array([2.0, 2.0, 1.5]))
    np.testing.assert_array_equal(shapes, [[15, 10, 20], [20, 10, 30]])
