"""NIfTI files that hold less than their header announces, and values that are not finite, against nibabel."""

import gzip

import nibabel
import numpy as np
import pytest
from made_cts import head

from soars_nnunet.errors import InputError
from soars_nnunet.images.nifti import check_complete, count_not_finite, read_voxels
from soars_nnunet.images.nifti_header import read_nifti_header

KINDS = {"NIfTI-1": nibabel.Nifti1Image, "NIfTI-2": nibabel.Nifti2Image}


def save(path, array, kind="NIfTI-1", byte_order="<"):
    header = KINDS[kind].header_class(endianness=byte_order)
    header.set_data_dtype(array.dtype)
    nibabel.save(KINDS[kind](array, np.eye(4), header), path)


@pytest.mark.parametrize("byte_order", "<>")
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float64])
@pytest.mark.parametrize("kind", KINDS)
def test_files_cut_by_one_byte_are_told_from_whole_ones(tmp_path, kind, dtype, byte_order):
    path = tmp_path / "case.nii.gz"
    save(path, head().astype(dtype), kind, byte_order)
    check_complete(path)
    whole = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(whole[:-1]))
    with pytest.raises(EOFError, match=f"{len(whole) - 1} of {len(whole)} bytes"):
        check_complete(path)
    path.write_bytes(whole[:-1])  # not compressed: the size alone tells
    with pytest.raises(InputError, match=f"{len(whole) - 1} of {len(whole)} bytes"):
        read_nifti_header(path)


def test_a_damaged_stream_is_not_complete(tmp_path):
    path = tmp_path / "case.nii.gz"
    save(path, head())
    whole = bytearray(path.read_bytes())
    whole[-6] ^= 1  # the checksum
    path.write_bytes(whole)
    with pytest.raises(gzip.BadGzipFile):
        check_complete(path)


@pytest.mark.parametrize("name", ["case.nii", "case.nii.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
def test_voxels_are_those_of_nibabel(tmp_path, name, dtype):
    save(tmp_path / name, head().astype(dtype))
    expected = nibabel.load(tmp_path / name).get_fdata()
    np.testing.assert_array_equal(read_voxels(tmp_path / name), expected.transpose(2, 1, 0))


@pytest.mark.parametrize("name", ["case.nii", "case.nii.gz"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_that_are_not_finite_are_counted(tmp_path, name, dtype):
    array = head().astype(dtype)
    array[3, 3, 3], array[4, 5, 6], array[0, 0, :4] = np.nan, -np.inf, np.inf
    save(tmp_path / name, array)
    loaded = np.asanyarray(nibabel.load(tmp_path / name).dataobj)
    assert count_not_finite(tmp_path / name) == np.count_nonzero(~np.isfinite(loaded)) == 6
    save(tmp_path / name, head())
    assert count_not_finite(tmp_path / name) == 0


def test_a_file_that_is_not_compressed_in_spite_of_its_name_is_counted_too(tmp_path):
    array = head().astype(np.float32)
    array[1, 2, 3] = np.nan
    save(tmp_path / "case.nii", array)
    (tmp_path / "case.nii").rename(tmp_path / "case.nii.gz")
    assert count_not_finite(tmp_path / "case.nii.gz") == 1
