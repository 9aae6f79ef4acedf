import numpy as np
import pytest
from evaluation.cases import CUBE, OTHER, SHAPE, labels_of, volumes

from soars_nnunet.evaluation.case_volumes import (
    JudgedVolumes,
    LabelledVolume,
    label_volume,
    resolve_labels,
    without_ignore,
)
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


def test_label_lists_lose_their_ignore_label():
    assert without_ignore({"background": 0, "A": 1, "Ignore": 2}) == ({"background": 0, "A": 1}, 2)
    assert without_ignore({"background": 0, "A": 1}) == ({"background": 0, "A": 1}, None)
    assert without_ignore(None) == (None, None)


@pytest.mark.parametrize("in_prediction", [None, 8])
def test_voxels_that_a_side_labels_ignore_are_background_on_both(in_prediction):
    reference = np.zeros((4, 5, 6), np.uint8)
    reference[:2], reference[2], reference[3, 0, 0] = 9, 1, 2
    predicted = np.ones((4, 5, 6), np.uint8)
    predicted[3, :, 5] = 8
    judged = JudgedVolumes.of(predicted, reference, 9, in_prediction)
    ignored = (reference == 9) | (predicted == in_prediction if in_prediction else False)
    assert not judged.predicted[ignored].any() and not judged.reference[ignored].any()
    np.testing.assert_array_equal(judged.predicted[~ignored], predicted[~ignored])
    np.testing.assert_array_equal(judged.reference[~ignored], reference[~ignored])
    assert judged.cut == {1} and judged.partly_judged({"A": 1, "B": 2}) == ["A"]


def test_volumes_without_ignored_voxels_stay_as_they_are():
    array = np.ones((2, 2, 2), np.uint8)
    for ignore in (None, 9):
        judged = JudgedVolumes.of(array, array, ignore)
        assert judged.reference is array and judged.predicted is array and judged.cut == frozenset()
