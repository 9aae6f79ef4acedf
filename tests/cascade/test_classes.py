"""Classes of the branches, against the profile."""

from dataclasses import replace

from soars_nnunet.cascade.classes import (
    branch_dataset_json,
    branch_labels,
    ignore_class,
    numbered_labels,
    partner_of,
    target_labels,
    without_ignore_label,
)


def all_organs(cascade, *without):
    names = [organ.name for organ in cascade.profile.organs if organ.name not in without]
    return replace(cascade, labels={name: 100 + index for index, name in enumerate(names)})


def test_classes_are_the_tiers_organs_in_the_profiles_order(cascade):
    full = all_organs(cascade)
    for branch, tier in (("anchor", "anchor"), ("mid_level", "mid_level"), ("small_hard", "small_hard")):
        expected = [organ.name for organ in full.profile.organs if organ.tier == tier]
        assert [(name, organs) for name, organs in branch_labels(full, branch)] == [(name, [name]) for name in expected]
    assert len(branch_labels(full, "baseline")) == 42


def test_targets_unite_the_organs_of_the_profile(cascade):
    full = all_organs(cascade)
    expected = {target: [organ.name for organ in organs] for target, organs in full.profile.targets.items()}
    assert dict(branch_labels(full, "detection")) == expected
    for target, labels in target_labels(full).items():
        assert labels == tuple(full.labels[name] for name in expected[target])


def test_organs_that_the_dataset_lacks_are_left_out(cascade):
    partial = all_organs(cascade, "Cochlea_L", "OpticNrv_R", "Pineal")
    assert dict(branch_labels(partial, "detection"))["Ear_L"] == ["Ear_Internal_L"]
    assert "Pineal" not in target_labels(partial)
    assert [name for name, _ in branch_labels(cascade, "anchor")] == ["Brainstem"]


def test_partners_are_those_that_the_dataset_has(cascade):
    partial = all_organs(cascade, "OpticNrv_R")
    pairs = {target: partner_of(partial, target) for target in target_labels(partial)}
    assert (pairs["Ear_L"], pairs["Ear_R"], pairs["Pituitary"]) == ("Ear_R", "Ear_L", "Pituitary")
    lonely = partial.profile.by_name["OpticNrv_L"].target
    assert pairs[lonely] == lonely


def test_dataset_json_names_channels_and_classes_for_nnunet(cascade):
    data = branch_dataset_json(all_organs(cascade), "detection", ["a", "b"], num_cases=3, ending=".nrrd")
    assert data["channel_names"] == {"0": "CT", "1": "noNorm", "2": "noNorm"}
    assert list(data["labels"].values()) == list(range(11)) and data["labels"]["background"] == 0
    assert (data["numTraining"], data["file_ending"]) == (3, ".nrrd")
    assert data["soars"] == {"branch": "detection", "source": "Dataset007_Neck", "guidance": ["a", "b"]}


def test_ignored_voxels_have_the_label_above_the_classes_but_for_detection(cascade):
    assert ignore_class(cascade, "anchor") is None and "ignore" not in numbered_labels(cascade, "anchor")
    ignoring = replace(cascade, ignore=77)
    labels = numbered_labels(ignoring, "anchor")
    assert labels == {"background": 0, "Brainstem": 1, "ignore": 2}
    assert without_ignore_label(labels) == {"background": 0, "Brainstem": 1} == numbered_labels(cascade, "anchor")
    assert "ignore" not in numbered_labels(ignoring, "detection")
    assert without_ignore_label(None) is None and without_ignore_label([1]) == [1]
