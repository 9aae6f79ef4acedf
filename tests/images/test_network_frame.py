"""The way into the network's frame and back: nnU-Net's reader, every orientation, oblique directions."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
from made_cts import head, image_of, with_values
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIOWithReorient

from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.network_frame import AIR_HU, Scan, from_network_frame, to_network_frame


def all_axis_directions():
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1.0, -1.0), repeat=3):
            yield np.eye(3)[:, order] * signs


def rotation(degrees_x, degrees_y, degrees_z):
    a, b, c = np.deg2rad([degrees_x, degrees_y, degrees_z])
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return x @ y @ z


OBLIQUE = [rotation(20, -15, 10), rotation(45, 0, 0), rotation(45, 45, 0), rotation(40, 50, 45), rotation(54.7, 45, 30)]
DIRECTIONS = [*all_axis_directions(), *(turn @ d for turn in OBLIQUE for d in list(all_axis_directions())[::5])]


# Accepted


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd"])
@pytest.mark.parametrize("direction", [np.eye(3), DIRECTIONS[13], DIRECTIONS[30], rotation(20, -15, 10)])
def test_network_frame_equals_nnunets_reader(tmp_path, ending, direction):
    path = str(tmp_path / f"case{ending}")
    array = with_values(head(), padding=-2000).astype(np.int16)
    sitk.WriteImage(image_of(array, origin=(-12.5, 40.25, 300.0), direction=direction), path)
    theirs, their_properties = SimpleITKIOWithReorient().read_images([path])
    ours, properties = to_network_frame(read_ct(path))
    assert ours.dtype == theirs.dtype and ours.flags.c_contiguous
    np.testing.assert_array_equal(ours, theirs.clip(AIR_HU))
    assert theirs.min() == -2000
    assert properties == their_properties


@pytest.mark.parametrize("index", range(len(DIRECTIONS)))
def test_labels_return_to_their_own_voxels(index):
    rng = np.random.default_rng(index)
    shape = (5, 6, 7)
    array = rng.permutation(np.prod(shape)).reshape(shape).astype(np.uint8)
    geometry = {"origin": (-101.3, 57.7, 1203.9), "direction": DIRECTIONS[index]}
    reference = image_of(array, (0.97, 1.21, 2.53), **geometry)
    frame, properties = to_network_frame(reference)
    labels = from_network_frame(frame[0].astype(np.uint8), reference)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(labels), array)
    assert labels.GetPixelID() == sitk.sitkUInt8
    np.testing.assert_allclose(labels.GetOrigin(), reference.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(labels.GetDirection(), reference.GetDirection(), atol=1e-6)
    assert labels.GetSpacing() == reference.GetSpacing()
    stuff = properties["sitk_stuff"]
    in_frame = image_of(frame[0], stuff["spacing"], origin=stuff["origin"], direction=stuff["direction"])
    for voxel in [tuple(int(v) for v in rng.integers(0, n)) for n in [in_frame.GetSize()] * 5]:
        there = labels.TransformPhysicalPointToIndex(in_frame.TransformIndexToPhysicalPoint(voxel))
        assert labels[there] == in_frame[voxel]


def test_labels_of_another_shape_are_refused():
    reference = image_of(head((8, 9, 10)), direction=np.eye(3)[:, [1, 2, 0]])
    expected = to_network_frame(reference)[0].shape[1:]
    with pytest.raises(ValueError, match=rf"expected labels of shape \({expected[0]}, .*got \(8, 8, 8\)"):
        from_network_frame(np.zeros((8, 8, 8), np.uint8), reference)


def test_a_scan_is_checked_and_brought_into_the_frame():
    image = image_of(head(), direction=DIRECTIONS[13])
    scan = Scan.of(image, "case_7")
    expected, properties = to_network_frame(image)
    assert (scan.name, scan.image, scan.properties) == ("case_7", image, properties)
    np.testing.assert_array_equal(scan.ct_hu, expected)
    assert scan.seconds > 0
    with pytest.raises(InputError, match="case_8: expected a CT in HU, got a constant image of 0"):
        Scan.of(image * 0, "case_8")
