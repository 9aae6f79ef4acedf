"""Reading CT files: truncated, damaged and missing ones are refused with one line."""

import gzip
import struct

import numpy as np
import pytest
import SimpleITK as sitk
from made_cts import head, image_of

from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct, read_header
from soars_nnunet.images.listing import FILE_ENDINGS


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


def test_read_ct_refuses_non_finite_values_that_itk_would_turn_into_zeros(tmp_path):
    values = np.full((16, 16, 16), -1000, np.float32)
    values[8:, :, :] = 60
    values[3, 3, 3], values[4, 4, 4] = np.nan, np.inf
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "ct.nii.gz"))
    with pytest.raises(InputError, match="NaN or infinity in 2 voxels"):
        read_ct(tmp_path / "ct.nii.gz")


@pytest.mark.parametrize("ending", FILE_ENDINGS)
def test_a_header_tells_size_and_spacing_without_the_voxels(tmp_path, ending):
    path = tmp_path / f"case{ending}"
    sitk.WriteImage(image_of(head()), str(path))
    header = read_header(path)
    assert header.size == (28, 24, 20)
    np.testing.assert_allclose(header.spacing_mm, (1.0, 1.2, 3.0), rtol=1e-6)
    assert header.voxel_bytes == 2 and header.bytes == 2 * 28 * 24 * 20


@pytest.mark.parametrize("what", ["missing", "no image", "announces too much", "flat", "coarse"])
def test_a_header_that_makes_no_sense_is_none(tmp_path, what):
    path = tmp_path / "case.nii.gz"
    if what == "no image":
        path.write_bytes(b"hello" * 200)
    if what == "announces too much":
        sitk.WriteImage(image_of(head()), str(path))
        whole = gzip.decompress(path.read_bytes())
        path.write_bytes(gzip.compress(whole[:40] + struct.pack("<8h", 3, 4000, 4000, 4000, 1, 1, 1, 1) + whole[56:]))
    if what == "flat":
        sitk.WriteImage(sitk.GetImageFromArray(head()[5]), str(path))
    if what == "coarse":
        sitk.WriteImage(image_of(head(), (1.0, 1.0, 21.0)), str(path))
    assert read_header(path) is None
