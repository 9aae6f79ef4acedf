"""Left organs lie on the left, whatever the orientation of the storage."""

import numpy as np
import pytest
import SimpleITK as sitk
from made_cts import image_of

from soars_nnunet.errors import InputError
from soars_nnunet.images.sides import LONE_MARGIN_MM, center_x_mm, check_lone_sides, check_sides, require_known_sides
from soars_nnunet.profile import Organ, Profile, load_profile

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
    check_sides(sitk.GetArrayFromImage(image), image, ORGANS, HN42, case="case_7")
    swapped = sitk.DICOMOrient(image_of(volume(slice(2, 5), slice(11, 14))), orientation)
    with pytest.raises(InputError, match="case_7: Parotid_L lies 9 mm to the patient's right of Parotid_R"):
        check_sides(sitk.GetArrayFromImage(swapped), swapped, ORGANS, HN42, case="case_7")


def test_an_organ_without_its_partner_says_nothing():
    labels = volume(slice(2, 5), slice(11, 14))
    lone = np.where(labels == 2, 0, labels)
    check_sides(lone, image_of(lone), ORGANS, HN42, case="case_7")
    check_sides(labels, image_of(labels), {"Parotid_L": 1, "Brainstem": 3}, HN42, case="case_7")


def profile_of(*names):
    """Profile of these organs, labelled from 1."""
    partners = {"L": "R", "R": "L"}
    organs = []
    for label, name in enumerate(names, 1):
        other = f"{name[:-1]}{partners.get(name[-1], '')}"
        mirror = other if other in names and name.endswith(("_L", "_R")) else None
        organs.append({"name": name, "label": label, "paper_name": name, "tier": "anchor", "mirror": mirror})
    return Profile.from_dict({"name": "three", "organs": organs})


PAIRED = profile_of("Parotid_L", "Parotid_R", "Brainstem")


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "SAR"])
def test_a_lone_organ_on_the_wrong_side_of_the_midline_is_refused(orientation):
    right = np.where(volume() == 1, 0, volume())
    image = sitk.DICOMOrient(image_of(right, (2.0, 1.2, 3.0)), orientation)
    check_lone_sides(sitk.GetArrayFromImage(image), image, PAIRED, case="sides")
    wrong = sitk.DICOMOrient(image_of(np.where(right == 2, 1, right), (2.0, 1.2, 3.0)), orientation)
    with pytest.raises(InputError, match="sides: Parotid_L lies 9 mm to the patient's right of the midline"):
        check_lone_sides(sitk.GetArrayFromImage(wrong), wrong, PAIRED, case="sides")


def test_near_the_midline_no_side_is_wrong():
    labels = np.zeros((4, 4, 40), np.uint8)
    labels[:, :, 20] = 3
    near, far = 20 - int(LONE_MARGIN_MM), 20 - int(LONE_MARGIN_MM) - 1
    labels[:, :, near] = 1
    check_lone_sides(labels, image_of(labels, (1.0, 1.0, 1.0)), PAIRED, case="sides")
    labels[:, :, near], labels[:, :, far] = 0, 1
    with pytest.raises(InputError, match="Parotid_L lies 6 mm to the patient's right of the midline organs"):
        check_lone_sides(labels, image_of(labels, (1.0, 1.0, 1.0)), PAIRED, case="sides")


def test_without_a_midline_organ_or_with_the_partner_nothing_is_checked():
    swapped = volume(slice(2, 5), slice(11, 14))
    check_lone_sides(swapped, image_of(swapped), PAIRED, case="sides")  # check_sides says it
    lone = np.where(swapped == 1, 1, 0).astype(np.uint8)
    check_lone_sides(lone, image_of(lone), PAIRED, case="sides")


def test_the_centre_is_in_the_patients_frame():
    mask = volume() == 1
    image = image_of(volume(), origin=(100.0, 0.0, 0.0))
    expected = [image.TransformIndexToPhysicalPoint((x, 5, 5))[0] for x in (11, 12, 13)]
    assert center_x_mm(mask, image) == pytest.approx(np.mean(expected))
    assert center_x_mm(mask & False, image) is None


GERMAN = Profile(
    "own",
    (
        Organ("Parotis_li", 1, "Parotis_li", "anchor", mirror="Parotis re"),
        Organ("Parotis re", 2, "Parotis re", "anchor", mirror="Parotis_li"),
        Organ("Hirnstamm", 3, "Hirnstamm", "anchor"),
    ),
)


def test_sides_of_names_without_a_suffix_are_checked_too():
    right = volume()
    labels = {organ.name: organ.label for organ in GERMAN.organs}
    for array, wrong in ((right, False), (np.array([0, 2, 1, 3])[right].astype(np.uint8), True)):
        image = image_of(array, (2.0, 1.2, 3.0))
        if not wrong:
            check_sides(array, image, labels, GERMAN, case="c")
            continue
        with pytest.raises(InputError, match="c: Parotis_li lies 18 mm to the patient's right of Parotis re"):
            check_sides(array, image, labels, GERMAN, case="c")


def test_a_profile_that_does_not_tell_sides_is_refused_where_a_dataset_has_the_organs():
    organs = (Organ("A", 1, "A", "anchor", mirror="B"), Organ("B", 2, "B", "anchor", mirror="A"))
    with pytest.raises(InputError, match="profile 'own': expected to know left from right, but A and B are mirror"):
        require_known_sides(Profile("own", organs), ["B"])
    require_known_sides(Profile("own", organs), ["Hirnstamm"])
    require_known_sides(GERMAN, ["Parotis_li", "Parotis re"])


def test_a_lone_organ_of_any_name_is_checked_against_the_midline():
    labels = np.zeros((4, 4, 40), np.uint8)
    labels[:, :, 20], labels[:, :, 10] = 3, 1
    with pytest.raises(InputError, match="Parotis_li lies 10 mm to the patient's right of the midline organs"):
        check_lone_sides(labels, image_of(labels, (1.0, 1.0, 1.0)), GERMAN, case="sides")
