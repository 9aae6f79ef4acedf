"""Left organs lie on the left, whatever the orientation of the storage."""

import numpy as np
import pytest
import SimpleITK as sitk
from made_cts import image_of

from soars_nnunet.errors import InputError
from soars_nnunet.images.sides import check_sides
from soars_nnunet.profile import load_profile

HN42 = load_profile("hn42")
ORGANS = {"Parotid_L": 1, "Parotid_R": 2, "Brainstem": 3}


def volume(left=slice(11, 14), right=slice(2, 5)):
    """(Z, Y, X) in LPS: X grows to the patient's left."""
    labels = np.zeros((12, 14, 16), np.uint8)
    labels[4:8, 3:9, left] = 1
    labels[4:8, 3:9, right] = 2
    labels[4:8, 3:9, 7:9] = 3
    return labels


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "PIL", "SAR", "ASL"])
def test_sides_are_the_patients_in_every_orientation(orientation):
    image = sitk.DICOMOrient(image_of(volume()), orientation)
    check_sides(sitk.GetArrayFromImage(image), image, ORGANS, HN42, "case_7")
    swapped = sitk.DICOMOrient(image_of(volume(slice(2, 5), slice(11, 14))), orientation)
    with pytest.raises(InputError, match="case_7: Parotid_L lies 9 mm to the patient's right of Parotid_R"):
        check_sides(sitk.GetArrayFromImage(swapped), swapped, ORGANS, HN42, "case_7")


def test_an_organ_without_its_partner_says_nothing():
    labels = volume(slice(2, 5), slice(11, 14))
    lone = np.where(labels == 2, 0, labels)
    check_sides(lone, image_of(lone), ORGANS, HN42, "case_7")
    check_sides(labels, image_of(labels), {"Parotid_L": 1, "Brainstem": 3}, HN42, "case_7")
