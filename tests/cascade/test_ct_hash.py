"""The hash of a CT changes with its voxels, wherever they lie."""

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.cascade.ct_hash import ct_hash, has_voxels_elsewhere
from soars_nnunet.cascade.storage import file_hash


def image():
    return sitk.GetImageFromArray(np.arange(8 * 8 * 8, dtype=np.int16).reshape(8, 8, 8))


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha"])
def test_the_hash_of_a_whole_file_is_that_of_its_bytes(tmp_path, name):
    sitk.WriteImage(image(), str(tmp_path / name))
    assert not has_voxels_elsewhere(tmp_path / name)
    assert ct_hash(tmp_path / name) == file_hash(tmp_path / name)


def detached_nrrd(folder):
    sitk.WriteImage(image(), str(folder / "a.nhdr"), False)
    header = (folder / "a.nhdr").rename(folder / "a.nrrd")
    (data,) = [path for path in folder.iterdir() if path != header]
    return header, data


def detached_meta(folder):
    sitk.WriteImage(image(), str(folder / "a.mhd"), False)
    return folder / "a.mhd", folder / "a.raw"


def detached_mha(folder):
    header, data = detached_meta(folder)
    return header.rename(folder / "a.mha"), data


@pytest.mark.parametrize("write", [detached_nrrd, detached_meta, detached_mha])
def test_a_voxel_in_another_file_changes_the_hash(tmp_path, write):
    header, data = write(tmp_path)
    assert has_voxels_elsewhere(header)
    before, content = ct_hash(header), data.read_bytes()
    assert ct_hash(header) == before != file_hash(header)
    data.write_bytes(content[:-1] + b"\x7f")
    assert ct_hash(header) != before
    data.unlink()
    assert ct_hash(header) != before, "what cannot be read is another one"
    data.write_bytes(content)
    assert ct_hash(header) == before


@pytest.mark.parametrize("magic", [(344, b"ni1\0"), (4, b"ni2\0")])
def test_a_nifti_header_of_an_img_file_is_known(tmp_path, magic):
    start, text = magic
    header = bytearray(540)
    header[start : start + 4] = text
    (tmp_path / "a.nii").write_bytes(header)
    assert has_voxels_elsewhere(tmp_path / "a.nii")
