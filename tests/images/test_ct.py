"""Reading and refusing inputs; the way into the network's frame and back."""

import gzip
import itertools
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIOWithReorient
from scipy import ndimage

from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import (
    AIR_HU,
    FILE_ENDINGS,
    check_ct,
    from_network_frame,
    list_cts,
    read_ct,
    to_network_frame,
)


def head(shape=(20, 24, 28), noise=15.0):
    """A ball of fat, tissue and bone in air, in HU."""
    rng = np.random.default_rng(0)
    grid = np.indices(shape)
    center = (np.array(shape).reshape(3, 1, 1, 1) - 1) / 2
    radius = np.sqrt((((grid - center) / (center + 0.5)) ** 2).sum(0))
    hu = np.select([radius > 0.9, radius > 0.8, radius > 0.7, radius > 0.65], [-1000, -90, 50, 900], 40)
    hu = ndimage.gaussian_filter(hu.astype(float), 0.7)
    return np.round(hu + rng.normal(0, noise, shape)).astype(np.int16)


def image_of(array, spacing=(1.0, 1.2, 3.0), **geometry):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    if "origin" in geometry:
        image.SetOrigin(geometry["origin"])
    if "direction" in geometry:
        image.SetDirection(np.ravel(geometry["direction"]).tolist())
    return image


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


def with_values(array, **changes):
    array = array.astype(np.int32)
    if "padding" in changes:
        array[:, :4] = array[:, -4:] = changes["padding"]
    if "metal" in changes:
        array[8:10, 8:10, 8:10] = changes["metal"]
    return array


ACCEPTED = {
    "int16": head(),
    "float32": head().astype(np.float32) + 0.25,
    **{f"padding {p}": with_values(head(), padding=p) for p in (-1024, -2000, -3024, -32768)},
    **{f"metal {m}": with_values(head(), metal=m) for m in (3071, 32767, 65535)},
    "padding and metal": with_values(head(), padding=-2000, metal=30000),
    "body only, no air": head((40, 40, 40))[11:29, 11:29, 11:29] - 60,
    "body crop with fat": np.where(head() < -150, -100, head()),
    "masked to the body": np.where(head() < -300, -1024, head()),
    "cone beam": np.clip(head(noise=80), -1000, 1500),
    "soft-tissue window": np.clip(head(), -160, 240),
    "mostly padding": np.pad(head(), 6, constant_values=-3024),
    "without noise": np.select([head() < -400, head() > 400], [-1000, 1000], 40).astype(np.int16),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_real_ranges_of_ct_are_accepted(name):
    array = ACCEPTED[name]
    if name == "body only, no air":
        array = np.concatenate([array, np.linspace(-110, 400, array[:1].size).reshape(array[:1].shape)])
        assert array.min() > -200
    image = image_of(array)
    assert check_ct(image, "case") is image


# Refused


def noise(kind, **kwargs):
    rng = np.random.default_rng(0)
    return getattr(rng, kind)(size=(16, 16, 16), **kwargs)


def poisoned(value):
    array = head().astype(np.float32)
    array[3, 4, 5] = value
    return array


REFUSED = {
    "2D": (sitk.GetImageFromArray(head()[5]), "expected a 3D CT volume, got a 2D image of 28 x 24"),
    "4D": (sitk.JoinSeries([image_of(head())] * 2), "got a 4D image of 28 x 24 x 20 x 2"),
    "RGB": (sitk.GetImageFromArray(np.stack([head()] * 3, -1), isVector=True), "one HU value a voxel, got 3 comp"),
    "complex": (sitk.GetImageFromArray(head().astype(np.complex64)), "one HU value a voxel"),
    "NaN": (image_of(poisoned(np.nan)), "expected finite HU, got NaN or infinity in 1 voxels"),
    "infinity": (image_of(poisoned(-np.inf)), "expected finite HU"),
    "constant": (image_of(np.full((9, 9, 9), -1000, np.int16)), "got a constant image of -1000"),
    "label map": (image_of(noise("integers", low=0, high=43).astype(np.uint8)), "as in a label map"),
    "float mask": (image_of((noise("random") > 0.5).astype(np.float32)), "as in a label map"),
    "8 bit": (image_of(noise("integers", low=0, high=256).astype(np.uint8)), "as in an 8-bit picture"),
    "normalised": (image_of(noise("random").astype(np.float32)), "as in a normalised image"),
    "z scores": (image_of(noise("normal")), "as in a normalised image"),
    "MR": (image_of(noise("gamma", shape=2, scale=120).astype(np.int16)), "give a CT, not an MR"),
    "air only": (image_of(noise("normal", loc=-1000, scale=20)), "give a CT, not an MR"),
    "absurd": (image_of(poisoned(1e30)), "check the export"),
    "offset 1000": (image_of((head() + 1000).clip(0).astype(np.uint16)), r"stored with an offset.*subtract 1000 \(or"),
    "offset 1024": (image_of(head() + 1024), "subtract 1000"),
    "offset, padded": (image_of(with_values(head() + 1024, padding=-2000)), "subtract 1000"),
    "offset, cropped": (image_of(head()[5:15, 6:18, 7:21] + 1000), "subtract 1000"),
    "thin": (image_of(head()[:7]), r"at least 8 voxels on every axis, got 28 x 24 x 7 \(x, y, z\)"),
    "coarse": (image_of(head(), (1, 1, 21)), "spacing of 0 to 20 mm, got 1 x 1 x 21"),
    "spacing NaN": (image_of(head(), (1, 1, np.nan)), "spacing of 0 to 20 mm"),
    "sheared": (image_of(head(), direction=[1, 0.3, 0, 0, 1, 0, 0, 0, 1]), "perpendicular axes"),
    "scaled axis": (image_of(head(), direction=[2, 0, 0, 0, 1, 0, 0, 0, 1]), "perpendicular axes"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_ct_is_refused_with_one_line(name):
    image, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as caught:
        check_ct(image, "case_7")
    text = str(caught.value)
    assert text.startswith("case_7: expected ") and "\n" not in text and ", got " in text and "; " in text


@pytest.mark.parametrize("ending", FILE_ENDINGS)
def test_truncated_files_are_refused(tmp_path, ending):
    path = tmp_path / f"case{ending}"
    sitk.WriteImage(image_of(head()), str(path))
    assert np.array_equal(sitk.GetArrayFromImage(read_ct(path)), head())
    data = path if ending != ".mhd" else tmp_path / "case.raw"
    whole = data.read_bytes()
    for keep in (len(whole) // 2, len(whole) - 1, 100):
        data.write_bytes(whole[:keep])
        with pytest.raises(InputError, match="damaged or truncated") as caught:
            read_ct(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_damaged_and_missing_files_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "case.nii.gz"
    for content in (b"", b"hello" * 200, gzip.compress(b"hello" * 200), gzip.compress(b"")):
        path.write_bytes(content)
        with pytest.raises(InputError, match="damaged or truncated"):
            read_ct(path)
    sitk.WriteImage(image_of(head()), str(path))
    whole = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(whole[:-100]))  # truncated before it was compressed
    with pytest.raises(InputError, match=f"{len(whole) - 100} of {len(whole)} bytes"):
        read_ct(path)
    with monkeypatch.context() as patched:
        patched.setattr(sitk, "ReadImage", lambda *arguments: pytest.fail("read"))
        # more than the file can hold: ITK must not set memory aside for it
        huge = whole[:40] + struct.pack("<8h", 3, 4000, 4000, 4000, 1, 1, 1, 1) + whole[56:]
        path.write_bytes(gzip.compress(huge))
        with pytest.raises(InputError, match="damaged or truncated"):
            read_ct(path)
    path.write_bytes(whole)  # not compressed in spite of its name
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_ct(path)), head())
    with pytest.raises(InputError, match="found nothing; check the path"):
        read_ct(tmp_path / "other.nii.gz")
    with pytest.raises(InputError, match="found a folder"):
        read_ct(tmp_path)
    (tmp_path / "ct.dcm").write_bytes(b"x")
    with pytest.raises(InputError, match="got 'ct.dcm'; convert DICOM series first"):
        read_ct(tmp_path / "ct.dcm")


def test_cts_of_a_folder_by_case_name(tmp_path):
    with pytest.raises(InputError, match="found none; convert DICOM"):
        list_cts(tmp_path)
    for name in ("b_0000.nii.gz", "a.nrrd", "c_0001.MHA", "d.mhd", "d.raw", ".hidden.nii.gz", "dataset.json"):
        (tmp_path / name).touch()
    (tmp_path / "folder.nii.gz").mkdir()
    assert [name for name, _ in list_cts(tmp_path)] == ["a", "b", "c_0001", "d"]
    assert list_cts(tmp_path / "b_0000.nii.gz") == [("b", tmp_path / "b_0000.nii.gz")]
    (tmp_path / "b.nii").touch()
    with pytest.raises(InputError, match=r"one CT a case, got b.nii and b_0000.nii.gz for case 'b'"):
        list_cts(tmp_path)
    with pytest.raises(InputError, match="found nothing; check the path"):
        list_cts(tmp_path / "nowhere")
    with pytest.raises(InputError, match="got 'dataset.json'"):
        list_cts(tmp_path / "dataset.json")


# Frames


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


def test_read_ct_refuses_non_finite_values_that_itk_would_turn_into_zeros(tmp_path):
    values = np.full((16, 16, 16), -1000, np.float32)
    values[8:, :, :] = 60
    values[3, 3, 3], values[4, 4, 4] = np.nan, np.inf
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "ct.nii.gz"))
    with pytest.raises(InputError, match="NaN or infinity in 2 voxels"):
        read_ct(tmp_path / "ct.nii.gz")
