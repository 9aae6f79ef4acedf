"""Which folds are trained, and whether on the present split and grid."""

from dataclasses import replace

import pytest
import torch

from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cascade.trained import (
    next_training,
    require_folds,
    require_same_classes,
    require_same_grid,
    require_same_split,
    trained_folds,
    training_command,
)
from soars_nnunet.errors import MissingArtifactError


def train(cascade, branch, fold):
    folder = cascade.model(branch, "nnUNetPlans") / f"fold_{fold}"
    folder.mkdir(parents=True)
    (folder / "checkpoint_final.pth").touch()


def test_require_folds_names_missing_folds_and_commands(cascade):
    for fold in (0, 2):
        train(cascade, "anchor", fold)
    (cascade.model("anchor", "nnUNetPlans") / "fold_1").mkdir()
    with pytest.raises(MissingArtifactError, match=r"fold\(s\) \[1, 3\]") as error:
        require_folds(cascade, "anchor", "nnUNetPlans")
    for fold in (1, 3):
        assert f"nnUNetv2_train 71 3d_fullres {fold} -tr SOARSAnchorTrainer" in str(error.value)
    assert "3d_fullres 0" not in str(error.value)
    for fold in (1, 3):
        (cascade.model("anchor", "nnUNetPlans") / f"fold_{fold}").mkdir(exist_ok=True)
        (cascade.model("anchor", "nnUNetPlans") / f"fold_{fold}" / "checkpoint_final.pth").touch()
    require_folds(cascade, "anchor", "nnUNetPlans")


@pytest.fixture(params=[("cuda", ""), ("cpu", " -device cpu"), ("mps", " -device mps")], ids=lambda param: param[0])
def device_option(request, monkeypatch):
    device, option = request.param
    monkeypatch.setattr(torch.cuda, "is_available", lambda: device == "cuda")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: device == "mps")
    return option


def test_commands_name_the_device_where_nnunets_default_would_end_in_a_traceback(cascade, device_option):
    command = training_command(cascade, "mid_level", 2, "wide")
    assert command == f"nnUNetv2_train 72 3d_fullres 2 -tr SOARSMidLevelTrainer -p wide{device_option}"


def test_the_next_training_is_of_the_first_fold_that_is_not_trained(cascade, device_option):
    def command(fold):
        return f"next: nnUNetv2_train 71 3d_fullres {fold} -tr SOARSAnchorTrainer{device_option}"

    def said():
        return next_training(cascade, "anchor", DEFAULT_PLANS)

    assert said() == f"{command(0)}, and the same for folds 1 2 3"
    train(cascade, "anchor", 0)
    assert said() == f"{command(1)}, and the same for folds 2 3"
    train(cascade, "anchor", 2)
    assert said() == f"{command(1)}, and the same for fold 3"
    train(cascade, "anchor", 1)
    assert said() == command(3)
    train(cascade, "anchor", 3)
    assert said() == "all 4 folds are trained"


def test_default_plans_are_trained_by_a_name_that_nnunet_does_not_take_for_its_own(cascade, device_option):
    write_json(cascade.training_plans("anchor"), {})
    command = training_command(cascade, "anchor", 0, DEFAULT_PLANS)
    assert command == f"nnUNetv2_train 71 3d_fullres 0 -tr SOARSAnchorTrainer -p SOARSPlans{device_option}"


def test_fold_all_cannot_stand_in_for_a_split(cascade):
    train(cascade, "detection", "all")
    assert trained_folds(cascade.model("detection", "nnUNetPlans")) == []
    with pytest.raises(MissingArtifactError, match=r"\[0, 1, 2, 3\]"):
        require_folds(cascade, "detection", "nnUNetPlans")


def test_only_some_folds_may_be_asked_for(cascade):
    train(cascade, "anchor", 2)
    require_folds(cascade, "anchor", DEFAULT_PLANS, [2])
    with pytest.raises(MissingArtifactError, match=r"fold\(s\) \[0\]"):
        require_folds(cascade, "anchor", DEFAULT_PLANS, [0, 2])
    with pytest.raises(MissingArtifactError, match=r"expected some of \[0, 1, 2, 3\], got \[4\]"):
        require_folds(cascade, "anchor", DEFAULT_PLANS, [2, 4])


def test_numbered_folds_are_listed_in_order(cascade):
    model = cascade.model("anchor", DEFAULT_PLANS)
    assert trained_folds(model) == []
    for fold in (10, 2, "all", 0):
        train(cascade, "anchor", fold)
    (model / "fold_3").mkdir()
    assert trained_folds(model) == [0, 2, 10]


def planned_and_trained(cascade, spacing, hu_per_unit, split_hash):
    """Plans of the anchors, and those that a model was trained with."""
    contents = {
        "configurations": {"3d_fullres": {"spacing": spacing, "soars": {"split_sha256": split_hash}}},
        "foreground_intensity_properties_per_channel": {"0": {"std": hu_per_unit}},
    }
    write_json(cascade.plans("anchor", DEFAULT_PLANS), contents)
    write_json(cascade.model("anchor", DEFAULT_PLANS) / "plans.json", contents)


def test_the_split_of_the_training_is_the_present_one(cascade):
    planned_and_trained(cascade, [3, 3, 3], 150, cascade.split_hash("anchor"))
    require_same_split(cascade, "anchor", DEFAULT_PLANS)
    path = cascade.preprocessed("anchor") / "splits_final.json"
    write_json(path, read_json(path)[::-1])
    with pytest.raises(MissingArtifactError, match="another split than .*splits_final.json"):
        require_same_split(cascade, "anchor", DEFAULT_PLANS)


@pytest.mark.parametrize(("spacing", "hu_per_unit"), [([3, 3, 2.5], 150), ([3, 3, 3], 1500)])
def test_grid_and_unit_of_the_training_are_the_present_ones(cascade, spacing, hu_per_unit):
    planned_and_trained(cascade, [3, 3, 3], 150, "")
    require_same_grid(cascade, "anchor", DEFAULT_PLANS)
    contents = read_json(cascade.plans("anchor", DEFAULT_PLANS))
    contents["configurations"]["3d_fullres"]["spacing"] = spacing
    contents["foreground_intensity_properties_per_channel"]["0"]["std"] = hu_per_unit
    write_json(cascade.plans("anchor", DEFAULT_PLANS), contents)
    with pytest.raises(MissingArtifactError, match="trained at 3 x 3 x 3 mm and 150 HU a unit, its cases are now"):
        require_same_grid(cascade, "anchor", DEFAULT_PLANS)


def test_classes_of_another_stratification_are_refused(cascade):
    cascade = replace(cascade, labels={"Brainstem": 3, "Cerebellum": 5, "OpticNrv_L": 1})
    path = cascade.model("anchor", "nnUNetPlans") / "dataset.json"
    names = [name for name, _ in branch_labels(cascade, "anchor")]
    values = {name: value for value, name in enumerate(names, 1)}
    write_json(path, {"labels": {**dict(reversed(list(values.items()))), "background": 0}})
    require_same_classes(cascade, "anchor", "nnUNetPlans")
    swapped = {names[0]: values[names[1]], names[1]: values[names[0]]}
    for labels in ({**values, **swapped}, {**values, "Nose": 99}, {}):
        write_json(path, {"labels": {"background": 0, **labels}})
        with pytest.raises(
            MissingArtifactError, match=r"dataset\.json: expected the classes of profile .*stratify as before"
        ):
            require_same_classes(cascade, "anchor", "nnUNetPlans")
