"""Regimes: the paper's values, and values that need each other."""

from dataclasses import replace

import pytest

from soars_nnunet.paper import stated
from soars_nnunet.settings.regime import fine_tuning_settings, load_regime, settings_from_bundle
from soars_nnunet.settings.table import regimes


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (('optimizer="SGD"', "beta1=0"), "with beta1=0: expected a beta1, its momentum, above 0"),
        (("search_frozen_epochs=0", "search_joint_epochs=0"), "search_joint_epochs=0: expected one of them above 0"),
    ],
)
def test_overrides_that_need_each_other_are_refused_together_alone(overrides, message):
    for override in overrides:
        load_regime("demo", "anchor", [override])
    with pytest.raises(ValueError, match=message):
        load_regime("demo", "anchor", overrides)


def test_regimes_name_the_same_keys_and_the_papers_values():
    table = regimes()
    assert set(table["paper"]["all"]) == set(table["demo"]["all"]) == set(table["nnunet"]["all"])
    assert {table[name]["all"]["p_mirror"] for name in table} == {0.0}
    paper = {branch: load_regime("paper", branch) for branch in ("anchor", "mid_level", "detection", "small_hard")}
    assert [values.initial_lr for values in paper.values()] == [0.01, 0.01, 0.01, 0.005]
    assert [values.search_initial_lr for values in paper.values()] == [0.005, 0.005, 0.001, 0.001]
    # an epoch of small & hard is one pass over the VOI crops, not over 70 patches of each
    assert [values.patches_per_volume for values in paper.values()] == [70, 70, 70, 1]
    stated = {
        "batch_size": 12,
        "p_scaling": 1.0,
        "scaling": (0.8, 1.2),
        "dice_weight": 1.0,
        "ce_weight": 0.0,
        "heatmap_foreground_weight": 0.0,
        "sigma_mm": 8.0,
        "optimizer": "RAdam",
        "decoupled_weight_decay": True,
        "max_patch_voxels": (64, 128, 128),
        "step_size": (0.5, 0.75, 0.75),
        "search_frozen_epochs": 20,
        "search_joint_epochs": 30,
        "search_batch_size": 2,
        "search_alpha_share": 0.333,
        "p_rotation": 0.0,
        "p_intensity": 0.0,
        "p_mirror": 0.0,
    }
    for branch, values in paper.items():
        own = {"max_patch_voxels": None} if branch == "small_hard" else {}  # VOIs are cropped to the organs already
        assert {key: getattr(values, key) for key in stated} == stated | own
    assert table["paper"]["fine_tune"]["num_epochs"] == 10
    assert {(values.num_epochs, values.weight_decay, values.beta1) for values in paper.values()} == {(50, 0.005, 0.9)}
    with pytest.raises(ValueError, match="expected one of paper, nnunet, demo, got 'papers'"):
        load_regime("papers", "anchor")


def test_fine_tuning_keeps_the_anchors_settings_but_for_its_own_values():
    anchors = replace(load_regime("demo", "anchor", ["sigma_mm=5.5", "batch_size=3"]), guidance=(), split_sha256="abc")
    tuned = fine_tuning_settings(anchors)
    assert (tuned.branch, tuned.num_epochs, tuned.initial_lr) == ("fine_tune", 2, 0.001)
    assert (tuned.sigma_mm, tuned.batch_size, tuned.split_sha256) == (5.5, 3, "abc")


def test_a_start_from_a_bundle_learns_slower_unless_the_user_says_otherwise():
    own = load_regime("paper", "small_hard", ["num_epochs=3"])
    slower = settings_from_bundle(own)
    assert (own.initial_lr, slower.initial_lr) == (0.005, 0.001) and replace(slower, initial_lr=0.005) == own
    assert settings_from_bundle(own, ["small_hard.initial_lr=0.02"]).initial_lr == 0.02
    assert settings_from_bundle(own, ["anchor.initial_lr=0.02"]).initial_lr == 0.001


def test_the_share_of_organ_centred_patches_is_what_the_paper_says_in_patches():
    patches, at_random = stated("patches_per_volume"), stated("random_patches_per_volume")
    paper = load_regime("paper", "anchor")
    assert paper.patches_per_volume == patches
    assert paper.organ_centred_patches == round((patches - at_random) / patches, 3)
