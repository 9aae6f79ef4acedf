"""Organs made of their other form, case by case."""

import numpy as np
import pytest
from made_cts import image_of

from soars_nnunet.cascade.derived import Derivation
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.derive import derive_case

HN42, OPENKBP = load_profile("hn42"), load_profile("openkbp7")
HALVES = ("Bone_Mandible_L", "Bone_Mandible_R")
SPLIT = Derivation(HALVES, (8, 9), ("Mandible",), (5,))
UNION = Derivation(("Bone_Mandible",), (8,), ("L jaw", "R jaw"), (5, 6))
ORGANS = {"Parotid_L": 1, "Parotid_R": 2, "Brainstem": 3}


def volume(jaw=slice(4, 12)):
    """(Z, Y, X) in LPS: X grows to the patient's left; the middle is at 7.5."""
    labels = np.zeros((6, 8, 16), np.int32)
    labels[1:5, 1:3, jaw] = 5
    labels[1:5, 4:6, 13:15] = 1
    labels[1:5, 4:6, 1:3] = 2
    labels[1:5, 5:7, 7:9] = 3
    return labels


def split(labels):
    organs = {**ORGANS, HALVES[0]: 8, HALVES[1]: 9}
    return derive_case(image_of(labels), [SPLIT], organs, HN42, empty_means_absent=False)


def test_halves_of_a_whole():
    labels = volume()
    done = split(labels)
    expected = labels.copy()
    expected[1:5, 1:3, 4:8], expected[1:5, 1:3, 8:12] = 9, 8
    np.testing.assert_array_equal(done.labels, expected)
    assert done.facts.planes_mm["Mandible"][:3] == [1, 0, 0] and not done.facts.notes
    assert labels[2, 2, 5] == 5  # the input stays


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        (volume(slice(9, 13)), "Mandible not divided: 100% of it lies left"),
        (np.where(volume() == 5, 5, 0), "no other organ tells where the midline is"),
    ],
    ids=["one side alone", "nothing else is drawn"],
)
def test_halves_that_are_not_sure_are_not_made(labels, note):
    done = split(labels)
    np.testing.assert_array_equal(done.labels, labels)
    assert done.facts.not_made == list(HALVES)
    assert len(done.facts.notes) == 1 and note in done.facts.notes[0]


def test_drawn_halves_stay_and_an_undrawn_whole_is_nothing_to_note():
    labels = volume()
    labels[labels == 5] = 8
    for array in (labels, np.where(labels == 8, 0, labels)):
        done = split(array)
        np.testing.assert_array_equal(done.labels, array)
        assert not done.facts.not_made and not done.facts.notes


@pytest.mark.parametrize("absent", [False, True])
def test_a_whole_of_halves(absent):
    labels = volume()
    labels[labels == 5] = np.tile([5, 6], (labels == 5).sum() // 2)
    organs = {**ORGANS, "Bone_Mandible": 8}
    done = derive_case(image_of(labels), [UNION], organs, OPENKBP, empty_means_absent=absent)
    np.testing.assert_array_equal(done.labels == 8, volume() == 5)
    lone = np.where(labels == 6, 0, labels)
    done = derive_case(image_of(lone), [UNION], organs, OPENKBP, empty_means_absent=absent)
    assert (done.labels == 8).any() == absent
    assert done.facts.not_made == ([] if absent else ["Bone_Mandible"])
    assert done.facts.notes == ([] if absent else ["Bone_Mandible not made: R jaw has no voxel"])
