"""Which bundles can cross-validate on a dataset."""

from dataclasses import replace

import pytest

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.prediction.held_out import require_held_out


@pytest.fixture
def bundle(tiny_bundle):
    return Bundle(tiny_bundle)


def with_patients(bundle, change):
    """The bundle, trained on other patients."""
    for key, branch in bundle.manifest.branches.items():
        bundle.manifest.branches[key] = replace(branch, training_patients=change(branch.training_patients))
    return bundle


def test_the_folds_of_the_split_hold_out_what_they_predict(bundle, untrained_cascade):
    require_held_out(bundle, untrained_cascade, None)
    require_held_out(bundle, untrained_cascade, [1])


def test_folds_that_trained_on_what_they_predict_are_refused(bundle, untrained_cascade):
    swapped = with_patients(bundle, lambda patients: patients[::-1])
    with pytest.raises(MissingArtifactError, match=r"tiny: fold 0 trained on 2 patient\(s\) that it is to predict"):
        require_held_out(swapped, untrained_cascade, None)


def test_one_patient_of_one_branch_is_enough(bundle, untrained_cascade):
    branch = bundle.manifest.branches["mid_level"]
    first, second = branch.training_patients
    leaked = (first, (*second, first[0]))
    bundle.manifest.branches["mid_level"] = replace(branch, training_patients=leaked)
    require_held_out(bundle, untrained_cascade, [0])
    with pytest.raises(MissingArtifactError, match=r"fold 1 trained on 1 patient\(s\)"):
        require_held_out(bundle, untrained_cascade, [1])


def test_networks_of_other_patients_are_sent_to_prediction(bundle, untrained_cascade):
    others = with_patients(bundle, lambda patients: (("0" * 16,),) * len(patients))
    with pytest.raises(MissingArtifactError, match="no cross-validation; use soars-cascade-predict --model"):
        require_held_out(others, untrained_cascade, None)


def test_folds_that_the_bundle_lacks_are_named(bundle, untrained_cascade):
    del bundle.described.branches["detection"].folds[1]
    require_held_out(bundle, untrained_cascade, [0])
    with pytest.raises(MissingArtifactError, match=r"networks of fold\(s\) \[1\] of detection, found \[0\] alone"):
        require_held_out(bundle, untrained_cascade, None)


def test_other_labels_are_refused(bundle, untrained_cascade):
    first = untrained_cascade.profile.organs[0]
    fewer = replace(untrained_cascade.profile, organs=(replace(first, name="Heart"),), halves={})
    other = replace(untrained_cascade, profile=fewer)
    with pytest.raises(MissingArtifactError, match="expected the organs of profile hn42, got those of hn42 or other"):
        require_held_out(bundle, other, None)


def test_a_bundle_without_a_pattern_meets_a_dataset_with_one(bundle, untrained_cascade):
    """Hashes are compared as either finds the patient in a name."""
    several = replace(untrained_cascade, patient_pattern=r"^(phantom)_")
    require_held_out(bundle, several, None)
