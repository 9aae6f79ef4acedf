"""Headers of MetaImage and NRRD files: what they leave out or contradict is refused, what they say is ITK's."""

import os
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from made_cts import head, image_of

from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct

DIRECTION = [0, -1, 0, 1, 0, 0, 0, 0, 1]
REFUSED = {
    "mha spacing missing": (".mha", b"ElementSpacing = 1 1.2 3\n", b"", "voxel sizes in mm (ElementSpacing), got none"),
    "mha spacing 0": (".mha", b"1 1.2 3\n", b"1 0 3\n", "1 x 0 x 3"),
    "mha spacing negative": (".mha", b"1 1.2 3\n", b"-1 1.2 3\n", "-1 x 1.2 x 3"),
    "mha spacing NaN": (".mha", b"1 1.2 3\n", b"nan 1.2 3\n", "nan x 1.2 x 3"),
    "mha spacing of words": (".mha", b"1 1.2 3\n", b"a b c\n", "no numbers in ElementSpacing"),
    "mha spacing of two": (".mha", b"1 1.2 3\n", b"1 1.2\n", "1 x 1.2;"),
    "mha no orientation": (".mha", b"TransformMatrix", b"Comment", "orientation of the axes (TransformMatrix)"),
    "mha metres": (".mha", b"ObjectType", b"DistanceUnits = m\nObjectType", "got 'm'"),
    "mha sizes absurd": (".mha", b"28 24 20\n", b"100000 100000 100000\n", "damaged or truncated"),
    "mha sizes negative": (".mha", b"28 24 20\n", b"-28 24 20\n", "-28 x 24 x 20 voxels"),
    "mha sizes smaller": (".mha", b"28 24 20\n", b"28 24 19\n", "something else was appended"),
    "mha sizes larger": (".mha", b"28 24 20\n", b"28 24 21\n", "bytes"),
    "mha sizes broken": (".mha", b"28 24 20\n", b"28.5 24 20\n", "no whole numbers in DimSize"),
    "mha no type": (".mha", b"MET_SHORT", b"MET_OTHER", "no known ElementType (MET_OTHER)"),
    "mha no end": (".mha", b"ElementDataFile", b"Element", "no MetaImage header"),
    "mhd absolute": (".mhd", b"case.raw", b"/etc/passwd", "in the header's folder"),
    "mhd outside": (".mhd", b"case.raw", b"../case.raw", "in the header's folder"),
    "mhd of Windows": (".mhd", b"case.raw", b"C:\\case.raw", "in the header's folder"),
    "mhd missing": (".mhd", b"case.raw", b"other.raw", "found nothing"),
    "mhd list": (".mhd", b"case.raw", b"LIST", "one file of voxels"),
    "mhd pattern": (".mhd", b"case.raw", b"case%03d.raw 1 9 1", "one file of voxels"),
    "nrrd no directions": (".nrrd", b"space directions", b"# other", "space directions of three axes, got none"),
    "nrrd directions of none": (".nrrd", b"(0,0,3)", b"none", "space directions of three axes"),
    "nrrd directions NaN": (".nrrd", b"(0,0,3)", b"(0,0,nan)", "1 x 1.2 x nan"),
    "nrrd directions 0": (".nrrd", b"(0,0,3)", b"(0,0,0)", "1 x 1.2 x 0"),
    "nrrd directions of two": (".nrrd", b"(0,0,3)", b"(0,3)", "space directions hold '(0,3)'"),
    "nrrd no space": (".nrrd", b"space: left-posterior-superior", b"space dimension: 3", "patient's sides"),
    "nrrd scanner": (".nrrd", b"left-posterior-superior", b"scanner-xyz", "got 'scanner-xyz'"),
    "nrrd left-handed": (".nrrd", b"left-posterior-superior", b"3D-left-handed", "got '3d-left-handed'"),
    "nrrd microns": (".nrrd", b"encoding", b'space units: "um" "um" "um"\nencoding', "space units in mm, got um"),
    "nrrd sizes absurd": (".nrrd", b"28 24 20", b"100000 100000 100000", "damaged or truncated"),
    "nrrd sizes smaller": (".nrrd", b"28 24 20", b"28 23 20", "something else was appended"),
    "nrrd type unknown": (".nrrd", b"type: short", b"type: block", "no known type (block)"),
    "nrrd encoding unknown": (".nrrd", b"encoding: raw", b"encoding: lz4", "got 'lz4'"),
    "nrrd elsewhere": (".nrrd", b"encoding", b"data file: /dev/zero\nencoding", "in the header's folder"),
    "nrrd in a file that is not there": (".nrrd", b"encoding", b"data file: a.raw\nencoding", "found nothing"),
    "nrrd no end": (".nrrd", b"\n\n", b"\n", "damaged or truncated"),
}


def written(tmp_path, ending, compressed=False, direction=DIRECTION):
    path = tmp_path / f"case{ending}"
    image = image_of(head(), origin=(-10, 5, 3.5), direction=direction)
    sitk.WriteImage(image, str(path), compressed)
    return path


@pytest.mark.parametrize(("ending", "old", "new", "said"), REFUSED.values(), ids=REFUSED)
def test_headers_that_leave_voxels_sides_or_mm_in_doubt_are_refused(tmp_path, ending, old, new, said):
    path = written(tmp_path, ending, direction=np.eye(3))
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        read_ct(path)
    text = str(caught.value)
    assert said in text and str(tmp_path) in text and "\n" not in text and "; " in text


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", [".mha", ".mhd", ".nrrd"])
def test_what_itk_writes_is_read(tmp_path, ending, compressed):
    image = read_ct(written(tmp_path, ending, compressed))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), head())
    np.testing.assert_allclose(image.GetDirection(), DIRECTION, atol=1e-6)


@pytest.mark.parametrize("kind", [sitk.sitkUInt8, sitk.sitkUInt16, sitk.sitkInt64, sitk.sitkFloat32, sitk.sitkFloat64])
@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_every_type_is_read(tmp_path, ending, kind):
    path = tmp_path / f"case{ending}"
    image = sitk.Cast(image_of(head()) > 0, kind)
    sitk.WriteImage(image, str(path))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_ct(path)), sitk.GetArrayFromImage(image))


@pytest.mark.parametrize(("space", "signs"), [("LAS", (1, -1, 1)), ("right-anterior-superior", (-1, -1, 1))])
def test_other_spaces_of_nrrd_are_turned_to_lps(tmp_path, space, signs):
    path = written(tmp_path, ".nrrd", direction=np.eye(3))
    path.write_bytes(path.read_bytes().replace(b"left-posterior-superior", space.encode()))
    image = read_ct(path)
    np.testing.assert_allclose(image.GetDirection(), np.diag(signs).ravel())
    np.testing.assert_allclose(image.GetOrigin(), np.multiply((-10, 5, 3.5), signs))


@pytest.mark.parametrize("tail", [bytes(200), b"\n"])
@pytest.mark.parametrize("ending", [".mha", ".nrrd"])
def test_a_little_padding_is_let_pass(tmp_path, ending, tail):
    path = written(tmp_path, ending)
    path.write_bytes(path.read_bytes() + tail)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_ct(path)), head())


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", [".mha", ".nrrd", ".mhd", ".nii", ".nii.gz"])
def test_gigabytes_of_zeros_behind_an_image_are_refused_at_once(tmp_path, ending, compressed):
    path = written(tmp_path, ending, compressed or ending == ".nii.gz")
    held = path
    if ending == ".mhd":
        held = tmp_path / ("case.zraw" if compressed else "case.raw")
    os.truncate(held, 30 * 2**30)  # of no blocks on the disk
    with pytest.raises(InputError, match="something else was appended"):
        read_ct(path)


@pytest.mark.parametrize("what", ["pipe", "device", "folder", "broken link"])
@pytest.mark.parametrize("ending", [".mhd", ".nrrd"])
def test_voxels_in_something_else_than_a_file_are_refused(tmp_path, ending, what):
    path = written(tmp_path, ending)
    voxels = tmp_path / "case.raw"
    if ending == ".nrrd":
        shutil.copyfile(path, voxels)
        path.write_bytes(path.read_bytes().split(b"\n\n")[0] + b"\ndata file: case.raw\n\n")
    voxels.unlink()
    if what == "pipe":
        os.mkfifo(voxels)
    elif what == "folder":
        voxels.mkdir()
    else:
        voxels.symlink_to("/dev/zero" if what == "device" else tmp_path / "nothing")
    with pytest.raises(InputError, match=f"found a.*{what.removeprefix('broken ')}"):
        read_ct(path)
