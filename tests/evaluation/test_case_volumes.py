import numpy as np
import pytest
from evaluation.cases import CUBE, OTHER, SHAPE, labels_of, volumes

from soars_nnunet.evaluation.case_volumes import LabelledVolume, label_volume, resolve_labels
from soars_nnunet.profile import load_profile


@pytest.fixture(scope="module")
def profile():
    return load_profile("hn42")


def test_resolve_labels(profile):
    values, unknown = resolve_labels({"background": 0, "eye_Lt": 2, "tumour": 3}, profile)
    assert (values, unknown) == ({"Eye_L": 2}, ("tumour",))
    assert resolve_labels(None, profile)[0]["Brainstem"] == 1
    with pytest.raises(ValueError, match="'Eye_L' and 'LeftEye' for Eye_L"):
        resolve_labels({"Eye_L": 1, "LeftEye": 2}, profile)
    with pytest.raises(ValueError, match="'Eye_L' and 'Eye_R' for the value 1"):
        resolve_labels({"Eye_L": 1, "Eye_R": 1}, profile)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2)), "expected a 3D label volume"),
        (np.full((2, 2, 2), 0.5), "expected integer labels, got fractions"),
        (np.full((2, 2, 2), np.nan), "expected integer labels, got fractions or NaN"),
        (np.full((2, 2, 2), -1000), "expected labels from 0"),
        (np.zeros((2, 2, 2), complex), "got complex128"),
    ],
)
def test_label_volume_rejects(array, message):
    with pytest.raises(ValueError, match=message):
        label_volume(array, "x")


@pytest.mark.parametrize(
    ("array", "dtype"),
    [
        (np.ones((1, 2, 3), bool), np.uint8),
        (np.full((1, 2, 3), 255.0), np.uint8),
        (np.full((1, 2, 3), 256, np.int64), np.uint16),
        (np.zeros((0, 2, 3), np.int32), np.uint8),
    ],
)
def test_labels_take_the_smallest_type(array, dtype):
    made = label_volume(array, "x")
    assert made.dtype == dtype and np.array_equal(made, array)


def test_labels_of_the_right_type_are_not_copied():
    array = np.full((2, 2, 2), 7, np.uint8)
    assert np.shares_memory(label_volume(array, "x"), array)


def test_organs_that_are_not_annotated_have_no_value_in_the_reference(profile):
    case = volumes(
        np.zeros(SHAPE), np.zeros(SHAPE), reference_labels={"brain stem": 4, "Larynx": 2}, not_annotated=["Larynx"]
    )
    assert case.reference_values(profile) == {"Brainstem": 4}
    assert case.predicted_values(profile)["Larynx"] == profile.by_name["Larynx"].label


def test_boxes_and_masks_of_a_labelled_volume(profile):
    array = labels_of(profile, Brainstem=CUBE, Larynx=OTHER)
    values = {name: profile.by_name[name].label for name in ("Brainstem", "Larynx", "Pituitary")}
    volume = LabelledVolume(array, values)
    box = volume.box("Brainstem")
    assert [(part.start, part.stop) for part in box] == [(3, 6), (4, 9), (5, 12)]
    assert volume.box("Pituitary") is None and volume.box("Eye_L") is None
    whole = (slice(None),) * 3
    np.testing.assert_array_equal(volume.mask(["Brainstem", "Larynx", "Eye_L"], whole), CUBE | OTHER)
    assert LabelledVolume(np.zeros((0, 2, 2), np.uint8), values).box("Brainstem") is None
