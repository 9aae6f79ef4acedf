"""Labels keep the sform, qform and codes of their CT, against nibabel."""

import gzip

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from odd_nifti import moved, sheared, turned, write_nifti

from soars_nnunet.cascade.image_file import write_image
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.label_names import embed_label_names
from soars_nnunet.images.nifti_affines import CODES, carry_affines

CTS = {
    "both": {},
    "qform alone": {"codes": (1, 0)},
    "sform alone": {"codes": (0, 1)},
    "nibabel's codes": {"codes": (0, 2)},
    "standard space": {"codes": (4, 4)},
    "disagree a little": {"sform": moved(turned(0.01))},
    "sheared": {"sform": sheared(5e-4), "codes": (0, 1)},
    "sheared beside a qform": {"sform": sheared(5e-4)},
    "oblique": {"sform": moved(turned(0.5)), "qform": moved(turned(0.5))},
    "left-handed": {"sform": moved(np.diag([-1, 1, 1])), "qform": moved(np.diag([-1, 1, 1]))},
}


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("fields", CTS.values(), ids=CTS)
def test_codes_and_affines_are_those_of_the_ct(tmp_path, fields, ending):
    ct = write_nifti(tmp_path / "ct.nii.gz", **fields)
    labels = tmp_path / f"labels{ending}"
    image = read_ct(ct)
    made = sitk.Cast(image > 300, sitk.sitkUInt8)

    def complete(path):
        carry_affines(path, ct)
        embed_label_names(path, {"Brainstem": 1})

    write_image(made, labels, finish=complete, read=read_ct)
    ours, theirs = nibabel.load(labels), nibabel.load(ct)
    for code in CODES:
        assert int(ours.header[code]) == int(theirs.header[code])
    assert len(ours.header.extensions) == 1
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-4)
    np.testing.assert_allclose(ours.get_qform(), theirs.get_qform(), atol=1e-4)
    np.testing.assert_array_equal(ours.get_fdata(), theirs.get_fdata() > 300)
    again = read_ct(labels)
    np.testing.assert_allclose(again.GetDirection(), image.GetDirection(), atol=1e-6)
    np.testing.assert_allclose(again.GetOrigin(), image.GetOrigin(), atol=1e-4)


def test_where_itk_writes_the_same_no_byte_changes(tmp_path):
    ct = write_nifti(tmp_path / "ct.nii.gz")
    labels = tmp_path / "labels.nii.gz"
    sitk.WriteImage(sitk.Cast(sitk.ReadImage(str(ct)) > 300, sitk.sitkUInt8), str(labels))
    before = labels.read_bytes()
    carry_affines(labels, ct)
    assert labels.read_bytes() == before


def test_the_same_ct_gives_the_same_bytes(tmp_path):
    ct = write_nifti(tmp_path / "ct.nii", codes=(0, 2))
    written = []
    for name in ("a.nii.gz", "b.nii.gz"):
        sitk.WriteImage(sitk.ReadImage(str(ct)), str(tmp_path / name))
        carry_affines(tmp_path / name, ct)
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1] and gzip.decompress(written[0])[:4] == b"\x5c\x01\0\0"


def test_other_formats_are_left_alone(tmp_path):
    ct = write_nifti(tmp_path / "ct.nii", codes=(0, 2))
    image = sitk.ReadImage(str(ct))
    for labels, source in (("a.nrrd", ct), ("a.nii.gz", tmp_path / "ct.mha")):
        sitk.WriteImage(image, str(tmp_path / labels))
        before = (tmp_path / labels).read_bytes()
        carry_affines(tmp_path / labels, source)
        assert (tmp_path / labels).read_bytes() == before
