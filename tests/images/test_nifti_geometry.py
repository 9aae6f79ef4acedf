"""Which of sform and qform is used, against nibabel and ITK; what disagrees is refused or said."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from odd_nifti import AFFINE, moved, sheared, turned, write_nifti

from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct, read_header
from soars_nnunet.images.nifti_geometry import apart_mm, nearest_orthonormal, read_geometry

MIRRORED, UPSIDE_DOWN, BACK_TO_FRONT = np.diag([-1, 1, 1]), np.diag([1, 1, -1]), np.diag([1, -1, 1])
REFUSED = {
    "both codes 0": ({"codes": (0, 0)}, "neither (both codes are 0)"),
    "sides": ({"sform": moved(MIRRORED)}, "orientations: RPS and LPS"),
    "upside down": ({"sform": moved(UPSIDE_DOWN)}, "orientations: LPI and LPS"),
    "back to front": ({"sform": moved(BACK_TO_FRONT)}, "orientations: LAS and LPS"),
    "turned by 10 degrees": ({"sform": moved(turned(0.175))}, "corners"),
    "shifted by 5 mm": ({"sform": moved(shift_mm=(5, 0, 0))}, "corners 5.0 mm apart"),
    "shifted by 1.1 mm": ({"sform": moved(shift_mm=(0, 0, 1.1))}, "corners 1.1 mm apart"),
    "twice the spacing": ({"sform": AFFINE @ np.diag([2, 2, 2, 1])}, "2 x 2.4 x 6 mm in the sform and 1 x 1.2 x 3"),
    "other spacing, sform alone": ({"codes": (0, 1), "pixdim": {2: 5}}, "1 x 1.2 x 3 mm in the sform and 1 x 5 x 3"),
    "sheared, sform alone": ({"sform": sheared(0.01), "codes": (0, 1)}, "sheared axes in the sform"),
    "sheared, beside a qform": ({"sform": sheared(0.3)}, "sheared axes in the sform"),
    "sform of zeros": ({"srow_x": 0, "srow_y": 0, "srow_z": 0}, "columns of length 0 x 0 x 0"),
    "sform NaN": ({"srow_x": {3: np.nan}}, "finite numbers in the sform"),
    "sform inf": ({"srow_z": {2: np.inf}}, "finite numbers in the sform"),
    "qform NaN": ({"qoffset_y": np.nan}, "finite numbers in the qform"),
    "qform no rotation": ({"quatern_b": 3}, "a rotation in the qform"),
}
SAID = {
    "shifted by 0.5 mm": ({"sform": moved(shift_mm=(0, 0, 0.5))}, "disagree by 0.50 mm at the corners; the sform was"),
    "turned by 0.01": ({"sform": moved(turned(0.01))}, "disagree by 0.26 mm at the corners; the sform was used"),
    "hardly sheared": ({"sform": sheared(5e-4), "codes": (0, 1)}, "axes sheared by 0.0005, within 0.001"),
}
SILENT = {
    "both": {},
    "qform alone": {"codes": (1, 0)},
    "sform alone": {"codes": (0, 1)},
    "nibabel's own codes": {"codes": (0, 2)},
    "unused qform of nonsense": {"codes": (0, 1), "qoffset_x": 1000},
    "unused sform of nonsense": {"codes": (1, 0), "srow_x": 0},
    "rounded": {"sform": moved(shift_mm=(1e-3, 0, 0))},
    "turned": {"sform": moved(turned(0.5)), "qform": moved(turned(0.5))},
    "left-handed": {"sform": moved(MIRRORED), "qform": moved(MIRRORED)},
}


@pytest.mark.parametrize(("fields", "said"), REFUSED.values(), ids=REFUSED)
def test_what_leaves_sides_or_places_in_doubt_is_refused(tmp_path, fields, said):
    path = write_nifti(tmp_path / "case.nii.gz", **fields)
    with pytest.raises(InputError) as caught:
        read_ct(path)
    assert said in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)
    assert read_header(path) is None


@pytest.mark.parametrize(("fields", "said"), SAID.values(), ids=SAID)
def test_small_disagreement_is_said_and_the_sform_used(tmp_path, fields, said):
    path = write_nifti(tmp_path / "case.nii.gz", **fields)
    (note,) = read_geometry(path).notes
    assert said in note
    assert read_header(path).notes == (note,)
    image = read_ct(path)
    assert apart_mm(affine_of(image), nibabel.load(path).affine, image.GetSize()) < 0.02


@pytest.mark.parametrize("fields", SILENT.values(), ids=SILENT)
def test_what_agrees_is_read_as_nibabel_and_itk_read_it(tmp_path, fields):
    path = write_nifti(tmp_path / "case.nii.gz", **fields)
    geometry = read_geometry(path)
    assert geometry.notes == () and not geometry.is_sheared
    image, by_itk = read_ct(path), sitk.ReadImage(str(path))
    np.testing.assert_allclose(affine_of(image), nibabel.load(path).affine, atol=1e-4)
    assert image.GetDirection() == by_itk.GetDirection() and image.GetOrigin() == by_itk.GetOrigin()
    np.testing.assert_allclose(geometry.direction.ravel(), by_itk.GetDirection(), atol=1e-6)
    np.testing.assert_allclose(geometry.origin_mm, by_itk.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(geometry.spacing_mm, by_itk.GetSpacing(), atol=1e-6)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_axes_that_are_hardly_sheared_are_made_perpendicular_where_itk_refuses_them(tmp_path, ending):
    path = write_nifti(tmp_path / f"case{ending}", sform=sheared(5e-4), codes=(0, 1))
    with pytest.raises(RuntimeError, match="orthonormal"):
        sitk.ReadImage(str(path))
    image = read_ct(path)
    direction = np.reshape(image.GetDirection(), (3, 3))
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-12)
    by_nibabel = nibabel.load(path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image).T, by_nibabel.get_fdata())
    assert apart_mm(affine_of(image), by_nibabel.affine, image.GetSize()) < 0.02
    header = read_header(path)
    assert header.is_sheared and header.size == image.GetSize() and header.voxel_bytes == 2


def test_the_nearest_orthonormal_matrix_keeps_mirroring():
    bent = np.array([[-1, 1e-3, 0], [0, 1, 2e-3], [0, 0, 1]])
    near = nearest_orthonormal(bent)
    np.testing.assert_allclose(near.T @ near, np.eye(3), atol=1e-12)
    assert np.linalg.det(near) == pytest.approx(-1)
    # no rotation by which it is turned further is nearer
    distance = np.linalg.norm(near - bent)
    for angle in (-1e-3, 1e-3):
        assert np.linalg.norm(near @ turned(angle) - bent) > distance


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4, 5)])
def test_other_than_three_axes_have_no_geometry(tmp_path, shape):
    path = tmp_path / "case.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros(shape, np.int16), np.eye(4)), path)
    assert read_geometry(path) is None


def affine_of(image):
    """RAS affine of an image, by ITK."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return np.diag([-1, -1, 1, 1]) @ affine
