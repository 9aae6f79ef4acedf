"""The mid-sagittal plane of a turned patient, whatever the orientation of the storage."""

import numpy as np
import pytest
import SimpleITK as sitk
from made_cts import image_of as image_with_spacing

from soars_nnunet.images.midline import find_midline, lies_left
from soars_nnunet.profile import load_profile

HN42 = load_profile("hn42")
ORGANS = {"Parotid_L": 1, "Parotid_R": 2, "Brainstem": 3, "SpinalCord": 4}
WHOLE = 9
SPACING_MM = (1.5, 2.0, 3.0)


def image_of(labels):
    return image_with_spacing(labels, SPACING_MM)


def turned_head(degrees=0.0, shift_mm=0.0):
    """(Z, Y, X) labels in LPS of parotids, brainstem, cord and a U-shaped jaw, and which voxels are truly left."""
    shape = (16, 40, 54)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), -1) * np.asarray(SPACING_MM[::-1])
    z, y, x = np.moveaxis(grid - grid.reshape(-1, 3).mean(0), -1, 0)
    angle = np.radians(degrees)
    left = np.cos(angle) * x + np.sin(angle) * y - shift_mm
    back = np.cos(angle) * y - np.sin(angle) * x
    labels = np.zeros(shape, np.uint8)
    jaw = (np.hypot(left, back) < 24) & (np.hypot(left, back) > 16) & (back < 6) & (np.abs(z) < 12)
    labels[jaw] = WHOLE
    for value, (at_left, at_back, radius) in enumerate(((25, 14, 6), (-25, 14, 6), (0, 14, 5), (0, 22, 4)), 1):
        labels[np.hypot(left - at_left, back - at_back) < radius] = value
    return labels, left > 0


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "PIL", "ASL"])
@pytest.mark.parametrize("degrees", [0.0, 20.0, -15.0])
def test_halves_of_a_turned_head_in_every_orientation(orientation, degrees):
    labels, left = turned_head(degrees, shift_mm=6.0)
    image = sitk.DICOMOrient(image_of(labels), orientation)
    array = sitk.GetArrayFromImage(image)
    truth = sitk.GetArrayFromImage(sitk.DICOMOrient(image_of(left.astype(np.uint8)), orientation))
    midline = find_midline(array, image, ORGANS, HN42, whole=WHOLE)
    found = lies_left(array == WHOLE, image, midline)
    assert (found == truth[array == WHOLE]).mean() > 0.98
    assert np.degrees(np.arcsin(midline.normal[1])) == pytest.approx(degrees, abs=1.5)
    assert midline.evidence == 4 and not midline.is_doubtful


def test_no_other_organ_no_midline():
    labels, _ = turned_head()
    image = image_of(labels)
    assert find_midline(labels, image, {}, HN42, whole=WHOLE) is None
    alone = np.where(labels == WHOLE, labels, 0)
    assert find_midline(alone, image, ORGANS, HN42, whole=WHOLE) is None
    assert find_midline(labels, image, {"Parotid_L": 1}, HN42, whole=WHOLE) is None  # its partner is not there


def test_a_lone_half_lies_on_its_side():
    labels, left = turned_head(10.0)
    labels[(labels == WHOLE) & ~left] = 0
    image = image_of(labels)
    midline = find_midline(labels, image, {"Brainstem": 3}, HN42, whole=WHOLE)
    assert midline.evidence == 1
    assert lies_left(labels == WHOLE, image, midline).mean() > 0.95


def test_organs_that_contradict_each_other_make_the_midline_doubtful():
    labels, _ = turned_head()
    moved = np.where(labels == 4, 0, labels)
    moved[:, :4, :3] = 4  # the cord far on the right
    moved[(moved == 1) | (moved == 2)] = 0
    image = image_of(moved)
    assert find_midline(moved, image, {"Brainstem": 3, "SpinalCord": 4}, HN42, whole=8).is_doubtful
