"""Headers that contradict themselves or their file are refused before a voxel is read."""

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from odd_nifti import write_nifti

from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.nifti_header import read_nifti_header

NAN, INF = float("nan"), float("inf")
REFUSED = {
    "vox_offset NaN": ({"vox_offset": NAN}, "first voxel at byte nan"),
    "vox_offset inf": ({"vox_offset": INF}, "first voxel at byte inf"),
    "vox_offset negative": ({"vox_offset": -16}, "first voxel at byte -16"),
    "vox_offset 0": ({"vox_offset": 0}, "first voxel at byte 0"),
    "vox_offset inside the header": ({"vox_offset": 100}, "first voxel at byte 100"),
    "vox_offset broken": ({"vox_offset": 352.5}, "first voxel at byte 352.5"),
    "vox_offset too large": ({"vox_offset": 1e9}, "bytes"),
    "vox_offset one too large": ({"vox_offset": 353}, "27232 of 27233 bytes"),
    "dims smaller than data": ({"dim": {3: 19}}, "something else was appended"),
    "dims one row smaller": ({"dim": {2: 23}}, "something else was appended"),
    "dims one column smaller": ({"dim": {1: 27}}, "something else was appended"),
    "dims larger than data": ({"dim": {3: 21}}, "27232 of 28576 bytes"),
    "dims negative": ({"dim": {1: -28}}, "-28 x 24 x 20 voxels"),
    "dims 0": ({"dim": {1: 0}}, "0 x 24 x 20 voxels"),
    "dims of no axis": ({"dim": {0: 0}}, "announces 0 axes"),
    "dims of 9 axes": ({"dim": {0: 9}}, "announces 9 axes"),
    "dims absurd": ({"dim": {1: 30000, 2: 30000, 3: 30000}}, "damaged or truncated"),
    "magic zero": ({"magic": b""}, "do not tell left from right"),
    "magic of a pair": ({"magic": b"ni1"}, "pairs of .hdr and .img"),
    "no NIfTI": ({"sizeof_hdr": 5}, "no NIfTI header"),
    "data type unknown": ({"datatype": 77}, "data type, 77"),
    "data type none": ({"datatype": 0}, "no data type"),
    "slope NaN": ({"scl_slope": NAN, "scl_inter": 0}, "slope nan and intercept 0"),
    "slope inf": ({"scl_slope": INF}, "slope inf"),
    "intercept NaN": ({"scl_slope": 1, "scl_inter": NAN}, "intercept nan"),
    "intercept without slope": ({"scl_slope": 0, "scl_inter": -1024}, "slope 0 and intercept -1024"),
    "pixdim NaN": ({"pixdim": {2: NAN}}, "1 x nan x 3"),
    "pixdim 0": ({"pixdim": {1: 0}}, "0 x 1.2 x 3"),
    "pixdim inf": ({"pixdim": {3: INF}}, "1 x 1.2 x inf"),
    "pixdim negative": ({"pixdim": {2: -1.2}}, "1 x -1.2 x 3"),
    "metres": ({"xyzt_units": 1}, "got metres"),
    "microns": ({"xyzt_units": 3 + 8}, "got microns"),
    "unit unknown": ({"xyzt_units": 5}, "unknown unit"),
}
ACCEPTED = {
    "plain": {},
    "no unit": {"xyzt_units": 0},
    "mm and seconds": {"xyzt_units": 2 + 8},
    "slope 0": {"scl_slope": 0, "scl_inter": 0},
    "slope and intercept unset": {"scl_slope": NAN, "scl_inter": NAN},
    "intent named": {"intent_code": 1002, "intent_name": b"labels"},
    "description of other bytes": {"descrip": b"\xff\xfe"},
    "further axes of one": {"dim": {0: 5, 4: 1, 5: 1}},
    "padding of an archive": {"tail": bytes(511)},
}


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize(("fields", "said"), REFUSED.values(), ids=REFUSED)
def test_what_readers_would_misread_is_refused_in_one_line(tmp_path, fields, said, ending):
    path = write_nifti(tmp_path / f"case{ending}", **fields)
    with pytest.raises(InputError) as caught:
        read_ct(path)
    text = str(caught.value)
    compressed_tail = ending == ".nii.gz" and "of 2" in said
    assert (said in text or (compressed_tail and "bytes" in text)) and str(path) in text
    assert "\n" not in text and "; " in text


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("fields", ACCEPTED.values(), ids=ACCEPTED)
def test_what_the_standard_allows_is_read_as_nibabel_reads_it(tmp_path, fields, ending):
    path = write_nifti(tmp_path / f"case{ending}", **fields)
    image = nibabel.load(path)
    expected = np.squeeze(image.get_fdata())
    np.testing.assert_array_equal(sitk.GetArrayFromImage(read_ct(path)).T, expected)
    assert read_nifti_header(path).notes == ()


def test_bits_that_contradict_the_type_are_said(tmp_path):
    file = read_nifti_header(write_nifti(tmp_path / "case.nii", bitpix=8))
    assert file.notes == ("the header says 8 bits a voxel beside values of type int16; the type was taken",)


SHORT = (b"", b"x", gzip.compress(b"", mtime=0), gzip.compress(b"x", mtime=0), b"\x1f\x8b", b"\x1f")


@pytest.mark.parametrize("content", SHORT)
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_files_of_hardly_a_byte_are_said_to_be_damaged(tmp_path, content, ending):
    path = tmp_path / f"case{ending}"
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged or truncated") as caught:
        read_ct(path)
    assert "unpack" not in str(caught.value)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_both_versions_are_read(tmp_path, kind):
    path = tmp_path / "case.nii.gz"
    nibabel.save(kind(np.zeros((9, 10, 11), np.int16), np.eye(4)), path)
    voxels = read_nifti_header(path).voxels
    assert list(voxels.size) == [9, 10, 11] and voxels.voxel_bytes == 2 and voxels.compressed
