"""NIfTI files that hold less than their header announces, and values that are not finite, against nibabel."""

import gzip

import nibabel
import numpy as np
import pytest
from made_cts import head

from soars_nnunet.images.nifti import check_complete, check_size, count_not_finite

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
    check_size(path)
    check_complete(path)
    whole = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(whole[:-1]))
    with pytest.raises(EOFError, match=f"{len(whole) - 1} of {len(whole)} bytes"):
        check_complete(path)
    path.write_bytes(whole[:-1])  # not compressed: the size alone tells
    with pytest.raises(EOFError, match=f"{len(whole) - 1} of {len(whole)} bytes"):
        check_size(path)


def test_a_damaged_stream_is_not_complete(tmp_path):
    path = tmp_path / "case.nii.gz"
    save(path, head())
    whole = bytearray(path.read_bytes())
    whole[-6] ^= 1  # the checksum
    path.write_bytes(whole)
    with pytest.raises(gzip.BadGzipFile):
        check_complete(path)


def test_what_is_no_nifti_announces_nothing(tmp_path):
    path = tmp_path / "case.nii"
    path.write_bytes(b"hello" * 200)
    check_size(path)
    check_complete(path)
    assert count_not_finite(path) == 0


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
