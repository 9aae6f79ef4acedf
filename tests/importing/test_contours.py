"""Contours that real folders have wrong, on phantoms."""

import shutil

import numpy as np
import pytest
import SimpleITK as sitk
from published_layouts import found, organ, write_masks, written

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.importing.dataset import import_set
from soars_nnunet.importing.public_sets import load_set

pytestmark = pytest.mark.usefixtures("nnunet_folders")


@pytest.mark.parametrize(
    ("what", "kind", "said"),
    [
        ("empty", "empty", "Parotid_L"),
        ("probabilities", "unusable", "0 and one other value"),
        ("damaged", "unusable", "damaged or truncated"),
        ("twice", "unusable", "expected one file of Parotid_L"),
        ("spacing", "unusable", "resample it onto the CT"),
        ("half a voxel off", "unusable", "resample it onto the CT"),
    ],
)
def test_contours_that_cannot_be_used_count_as_not_drawn(tmp_path, phantom, what, kind, said):
    folder = tmp_path / "clinic"
    for case in ("p1", "p2"):
        write_masks(folder, phantom, case)
    path = folder / "p1/mask_Parotid_L.nii.gz"
    image = sitk.ReadImage(str(path))
    if what == "empty":
        image = image * 0
    elif what == "probabilities":
        image = sitk.Cast(image, sitk.sitkFloat32) * 0.9
        image[5, 5, 5] = 0.3
    elif what == "spacing":
        image.SetSpacing((6.0, 6.0, 5.0))
    elif what == "half a voxel off":
        image.SetOrigin((image.GetOrigin()[0] + 3.0, *image.GetOrigin()[1:]))
    sitk.WriteImage(image, str(path), True)
    if what == "damaged":
        path.write_bytes(path.read_bytes()[:200])
    if what == "twice":
        shutil.copyfile(path, folder / "p1/mask_parotid-l.nii.gz")
    done = import_set(load_set("masks"), folder, 509)
    ((text, case),) = found(done, kind)
    assert case == "p1" and said in text and not written(done, "p1")["Parotid_L"].any()
    assert written(done, "p1")["Parotid_R"].any() and written(done, "p2")["Parotid_L"].any()
    # an empty file may say that the organ is absent: soars-stratify's option decides
    assert read_json(done.folder / "cases.json")["p1"]["unannotated"] == ([] if what == "empty" else ["Parotid_L"])


@pytest.mark.parametrize("what", ["cropped", "turned", "larger"])
def test_masks_on_other_extents_of_the_same_grid_are_put_in_their_place(tmp_path, phantom, what):
    write_masks(tmp_path / "clinic", phantom, "p1")
    path = tmp_path / "clinic/p1/mask_Parotid_L.nii.gz"
    image = sitk.ReadImage(str(path))
    if what == "cropped":
        low, high = np.argwhere(organ(phantom, "Parotid_L")).min(0), np.argwhere(organ(phantom, "Parotid_L")).max(0) + 1
        image = image[tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True))]
    elif what == "turned":
        image = sitk.Flip(sitk.PermuteAxes(image, (1, 2, 0)), (True, False, True))
    else:
        image = sitk.ConstantPad(image, (2, 0, 3), (1, 4, 0), 1)
    sitk.WriteImage(image, str(path), True)
    done = import_set(load_set("masks"), tmp_path / "clinic", 509)
    np.testing.assert_array_equal(written(done, "p1")["Parotid_L"], organ(phantom, "Parotid_L"))
    ((text, _),) = found(done, "other_grid")
    assert ("voxels lie outside the CT" in text) == (what == "larger")
