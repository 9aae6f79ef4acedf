"""Settings at the border to JSON: what is written, what is read of older versions."""

import json
from dataclasses import FrozenInstanceError, replace

import pytest

from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.settings.branch_settings import BranchSettings, JoinedBranch, LossSettings, MirrorOrder
from soars_nnunet.settings.regime import load_regime
from soars_nnunet.settings.table import regimes

PLANNED = replace(
    load_regime("demo", "mid_level"),
    channel_names={"0": "CT", "1": "noNorm", "2": "noNorm"},
    guidance=("Eye_L", "Eye_R"),
    mirror=MirrorOrder(classes=(0, 1), channels=(0, 2, 1)),
    split_sha256="abc",
    reach=[[[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], None]],
)
FIRST_KEYS = (
    "batch_size beta1 ce_weight dice_background dice_weight features_per_stage heatmap_foreground_weight initial_lr "
    "iterations_per_epoch max_patch_mm max_patch_voxels n_convs_per_stage num_epochs organ_centred_patches p_rotation "
    "p_scaling patches_per_volume rotation_deg save_every scaling seed sigma_mm val_iterations_per_epoch weight_decay"
).split()
"""Keys of the very first version."""


def test_settings_come_back_from_json():
    text = json.dumps(PLANNED.to_json())
    assert BranchSettings.from_json(json.loads(text)) == PLANNED
    assert (PLANNED.num_channels, load_regime("demo", "anchor").num_channels) == (3, 1)


def test_json_is_the_regimes_and_what_is_planned():
    data = PLANNED.to_json()
    demo = {**regimes()["demo"]["all"], **regimes()["demo"]["mid_level"]}
    planned = {
        "branch": "mid_level",
        "channel_names": {"0": "CT", "1": "noNorm", "2": "noNorm"},
        "guidance": ["Eye_L", "Eye_R"],
        "mirror": {"classes": [0, 1], "channels": [0, 2, 1]},
        "split_sha256": "abc",
        "patient_pattern": None,
        "reach": [[[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]], None]],
    }
    assert data == {"regime": "demo", **demo, **planned}
    assert replace(PLANNED, in_sample=True).to_json() == {**data, "in_sample": True}


def test_plans_of_the_first_version_mean_what_they_meant():
    demo = regimes()["demo"]["all"]
    old = BranchSettings.from_json({"regime": "demo", "branch": "anchor", **{key: demo[key] for key in FIRST_KEYS}})
    assert (old.optimizer, old.beta2, old.decoupled_weight_decay, old.lr_decays_by_step) == (
        "RAdam",
        0.999,
        False,
        False,
    )
    assert (old.step_size, old.hu_per_unit, old.final_validation) == ((0.5, 0.5, 0.5), 1500.0, True)
    assert (old.p_mirror, old.p_intensity, old.p_guidance_corruption, old.p_guidance_dropout) == (0, 0, 0, 0)
    assert old.p_noise_sharpness == 0 and old.low_pass_ratio is None
    assert old.side_output_weights == (1, 1, 1, 1) and not old.dice_absent_classes and not old.mirror.is_complete
    assert (old.reach, old.sides, old.guidance, old.cascade) == ((), (), (), None)


def test_settings_of_other_versions_are_passed_over_and_missing_ones_named():
    data = PLANNED.to_json()
    assert BranchSettings.from_json({**data, "of_tomorrow": 3}) == PLANNED
    del data["batch_size"], data["sigma_mm"]
    with pytest.raises(MissingArtifactError, match="found no batch_size, sigma_mm; rerun soars-plan"):
        BranchSettings.from_json(data)


def test_settings_cannot_be_changed_in_passing():
    with pytest.raises(FrozenInstanceError):
        PLANNED.batch_size = 3


def test_joined_branches_come_back_and_older_ones_weigh_their_sums_equally():
    joined = JoinedBranch(
        plans="nnUNetPlans",
        classes=(("Ear_L", ("Cochlea_L", "Ear_Internal_L")),),
        patch_size=(8, 9, 7),
        loss=replace(PLANNED.loss, side_output_weights=(1.0, 0.5, 0.0, 0.0)),
    )
    settings = replace(load_regime("demo", "fine_tune"), cascade={"detection": joined})
    data = json.loads(json.dumps(settings.to_json()))
    assert data["cascade"]["detection"]["classes"] == [["Ear_L", ["Cochlea_L", "Ear_Internal_L"]]]
    assert BranchSettings.from_json(data) == settings
    for key in ("side_output_weights", "dice_absent_classes"):
        del data["cascade"]["detection"]["loss"][key]
    old = BranchSettings.from_json(data).cascade["detection"].loss
    assert old == replace(joined.loss, side_output_weights=(1.0, 1.0, 1.0, 1.0), dice_absent_classes=False)


def test_a_loss_is_made_of_the_settings_of_its_name():
    loss = replace(PLANNED, sigma_mm=5.0, ce_weight=0.25).loss
    assert isinstance(loss, LossSettings) and (loss.sigma_mm, loss.ce_weight) == (5.0, 0.25)
    assert loss.side_output_weights == PLANNED.side_output_weights
