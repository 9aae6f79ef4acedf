import logging

import numpy as np
import pytest
from evaluation.cases import CUBE, OTHER, SHAPE, SPACING, box, by_organ, labels_of, volumes

from soars_nnunet.evaluation.organ_scores import score_case
from soars_nnunet.evaluation.surface import compare_masks
from soars_nnunet.profile import load_profile


@pytest.fixture(scope="module")
def profile():
    return load_profile("hn42")


def test_cropping_does_not_change_the_numbers(profile):
    far = box(SHAPE, (0, 0, 0), (1, 1, 1))
    reference, prediction = labels_of(profile, Brainstem=CUBE), labels_of(profile, Brainstem=CUBE | far, Larynx=OTHER)
    score = by_organ(score_case(volumes(prediction, reference), profile))["Brainstem"]
    whole = compare_masks(CUBE | far, CUBE, SPACING, 2.5)  # the brain stem's tolerance
    found = (score.dsc, score.hd_mm, score.hd95_mm, score.asd_mm, score.surface_dsc)
    assert found == (whole.dsc, whole.hd_mm, whole.hd95_mm, whole.asd_mm, whole.surface_dsc)
    assert score.volume_error == pytest.approx(1 / (3 * 5 * 7))
    assert score.reference_ml == pytest.approx(3 * 5 * 7 * 3.0 / 1000)
    assert (score.status, score.tier) == ("scored", "anchor")


def test_missed_and_not_in_reference(profile):
    reference, prediction = labels_of(profile, Brainstem=CUBE), labels_of(profile, Larynx=OTHER)
    scores = by_organ(score_case(volumes(prediction, reference), profile))
    assert len(scores) == 42
    missed, absent = scores["Brainstem"], scores["Larynx"]
    assert (missed.status, missed.dsc, missed.hd_mm, missed.asd_mm) == ("missed", 0.0, None, None)
    assert (missed.surface_dsc, missed.hd95_mm, missed.volume_error) == (0.0, None, -1.0)
    assert (absent.surface_dsc, absent.hd95_mm, absent.volume_error) == (None, None, None)
    assert (absent.status, absent.dsc, absent.hd_mm, absent.reference_ml) == ("not_in_reference", None, None, 0.0)
    assert absent.predicted_ml > 0 and missed.predicted_ml == 0 and missed.reference_ml > 0


def test_empty_means_absent(profile):
    reference, prediction = labels_of(profile, Brainstem=CUBE), labels_of(profile, Brainstem=CUBE, Larynx=OTHER)
    labels = {name: profile.by_name[name].label for name in ("Brainstem", "Larynx", "Pineal", "Eye_L")}
    scores = by_organ(
        score_case(volumes(prediction, reference, reference_labels=labels, not_annotated=["Eye_L"]), profile, True)
    )
    false, absent = scores["Larynx"], scores["Pineal"]
    assert (false.status, false.dsc, false.surface_dsc, false.hd_mm, false.volume_error) == (
        "false_positive",
        0.0,
        0.0,
        None,
        None,
    )
    assert false.predicted_ml > 0
    assert (absent.status, absent.dsc, absent.predicted_ml) == ("absent", None, 0.0)
    assert scores["Eye_L"].status == "not_in_reference"  # nobody drew it
    assert scores["Eye_R"].status == "not_in_reference"  # the reference could not hold it


def test_organs_that_are_not_annotated_are_left_out_whatever_the_reference_holds(profile):
    volume = labels_of(profile, Brainstem=CUBE, Larynx=OTHER)
    scores = by_organ(score_case(volumes(volume, volume, not_annotated=["Larynx"]), profile))
    assert (scores["Larynx"].status, scores["Larynx"].dsc) == ("not_in_reference", None)
    assert scores["Larynx"].predicted_ml > 0 and scores["Brainstem"].dsc == 1.0


@pytest.mark.parametrize("empty", ["prediction", "reference", "both"])
def test_empty_volumes(profile, empty):
    full, nothing = labels_of(profile, Brainstem=CUBE), np.zeros(SHAPE, np.uint8)
    prediction = nothing if empty in ("prediction", "both") else full
    reference = nothing if empty in ("reference", "both") else full
    statuses = [score.status for score in score_case(volumes(prediction, reference), profile)]
    assert statuses.count("missed") == (empty == "prediction")
    assert statuses.count("not_in_reference") == (41 if empty == "prediction" else 42)


def test_inner_ear_is_evaluated_with_the_cochlea(profile):
    inside = box(SHAPE, (4, 5, 6), (5, 7, 9))
    reference = labels_of(profile, Ear_Internal_L=CUBE)
    prediction = labels_of(profile, Ear_Internal_L=CUBE & ~inside, Cochlea_L=inside)
    scores = by_organ(score_case(volumes(prediction, reference), profile))
    assert (scores["Ear_Internal_L"].dsc, scores["Ear_Internal_L"].hd_mm) == (1.0, 0.0)
    assert scores["Cochlea_L"].status == "not_in_reference"
    only_cochlea = labels_of(profile, Cochlea_L=inside)
    scores = by_organ(score_case(volumes(prediction, only_cochlea), profile))
    assert scores["Ear_Internal_L"].status == "not_in_reference"
    assert scores["Cochlea_L"].dsc == 1.0


def test_label_numbers_and_aliases_may_differ(profile):
    prediction, reference = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint16)
    prediction[CUBE], reference[CUBE] = 7, 300
    labels_p, labels_r = {"background": 0, "brain stem": 7}, {"BRAIN_STEM": 300}
    score = by_organ(
        score_case(volumes(prediction, reference, predicted_labels=labels_p, reference_labels=labels_r), profile)
    )["Brainstem"]
    assert score.dsc == 1.0


def test_values_without_a_name_are_ignored_with_a_warning(profile, caplog):
    volume = labels_of(profile, Brainstem=CUBE)
    volume[OTHER] = 99
    with caplog.at_level(logging.WARNING):
        score_case(volumes(volume, labels_of(profile, Brainstem=CUBE)), profile)
    assert "case 'a', prediction: values without a name, ignored: 99" in caplog.text


def test_score_case_rejects_shapes_and_spacing(profile):
    volume = np.zeros(SHAPE, np.uint8)
    with pytest.raises(ValueError, match="expected volumes of one shape"):
        score_case(volumes(volume[1:], volume), profile)
    with pytest.raises(ValueError, match="expected a spacing"):
        score_case(volumes(volume, volume, spacing_mm=(1.0, 0.0, 1.0)), profile)
