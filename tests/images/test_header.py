"""One header of every format: geometry, type and what is doubtful."""

import numpy as np
import pytest
import SimpleITK as sitk
from made_cts import head, image_of
from odd_nifti import sheared, write_nifti

from soars_nnunet.errors import InputError
from soars_nnunet.images.header import itk_reason, require_for_nnunet, require_header
from soars_nnunet.images.listing import FILE_ENDINGS


@pytest.mark.parametrize("ending", FILE_ENDINGS)
def test_a_header_is_that_of_itk(tmp_path, ending):
    path = tmp_path / f"case{ending}"
    sitk.WriteImage(image_of(head(), origin=(1, 2, 3), direction=[0, -1, 0, 1, 0, 0, 0, 0, 1]), str(path))
    header, image = require_header(path), sitk.ReadImage(str(path))
    assert header.size == image.GetSize() and header.spacing_mm == image.GetSpacing()
    assert header.origin_mm == image.GetOrigin() and header.direction == image.GetDirection()
    assert (header.components, header.voxel_bytes, header.notes, header.is_sheared) == (1, 2, (), False)
    assert header.bytes == 2 * head().size


def test_a_sheared_header_has_perpendicular_axes_and_says_so(tmp_path):
    header = require_header(write_nifti(tmp_path / "case.nii", sform=sheared(8e-4), codes=(0, 1)))
    direction = np.reshape(header.direction, (3, 3))
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-12)
    assert header.is_sheared and "sheared" in header.notes[0]


def test_training_takes_no_sheared_file_that_nnunet_cannot_read(tmp_path):
    bent = sheared(8e-4)
    with pytest.raises(InputError, match="nnU-Net reads no others in training, got axes that are sheared a little"):
        require_for_nnunet(write_nifti(tmp_path / "a.nii", sform=bent, codes=(0, 1)))
    for name, fields in (("b.nii", {}), ("c.nii", {"sform": bent})):  # beside a qform ITK takes that
        path = write_nifti(tmp_path / name, **fields)
        require_for_nnunet(path)
        assert sitk.ReadImage(str(path)).GetSize() == (28, 24, 20)


@pytest.mark.parametrize("ending", FILE_ENDINGS)
def test_vectors_have_components(tmp_path, ending):
    path = tmp_path / f"case{ending}"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((9, 9, 9, 3), np.float32), isVector=True), str(path))
    header = require_header(path)
    assert header.components == 3 and header.voxel_bytes >= 12


@pytest.mark.parametrize("ending", FILE_ENDINGS)
def test_files_of_something_else_are_refused(tmp_path, ending):
    path = tmp_path / f"case{ending}"
    for content in (b"", b"\n", b"NRRD", b"hello" * 300, bytes(5000), b"NDims = 3\n"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="damaged or truncated"):
            require_header(path)


def test_the_last_line_of_itk_is_its_reason():
    assert itk_reason(RuntimeError("Exception:\nsitk::ERROR: The file\n\n")) == "The file"
    assert itk_reason(RuntimeError()) == "RuntimeError"
