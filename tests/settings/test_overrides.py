"""Values of the user: which are taken, and what is said of those that are not."""

from dataclasses import replace

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.settings.overrides import REGIME_RULES, named_settings, override_settings, regime_keys, regime_values
from soars_nnunet.settings.regime import load_regime


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("xyzzy=3", "--set xyzzy=3: expected the name of a setting, got 'xyzzy'; there are regime, features_per_stage"),
        ("num_epoch=3", "got 'num_epoch'; did you mean num_epochs"),
        ("epochs=3", "did you mean num_epochs"),
        ("Batch-Size=3", "did you mean batch_size"),
        ("num_epochs", "expected KEY=VALUE or BRANCH.KEY=VALUE, as batch_size=2, got 'num_epochs'"),
        ("=3", "expected KEY=VALUE"),
        ("ancor.num_epochs=3", "got 'ancor'; did you mean anchor?"),
        ("fine_tune.num_epochs=3", "expected a branch of anchor, mid_level, detection, small_hard, baseline, got"),
        ("optimizer=SGD", "a text is in double quotes"),
        ('num_epochs="3"', 'got "3" (a text: remove the quotes)'),
        ("beta1=1", "--set beta1: expected a value like 0.9, got 1"),
        ("search_alpha_betas=[0.5,1.0]", "got [0.5,1.0]"),
        ("search_alpha_share=1", "got 1"),
        ("seed=4294967295", "got 4294967295"),
        ("dice_weight=0", "--set dice_weight=0 beside ce_weight=0: expected one of them above 0"),
        ("anchor.num_epochs=three", "--set anchor.num_epochs: expected a JSON value"),
        ("num_epochs=", "expected a JSON value"),
        ("max_patch_voxels=[48,48", "expected a JSON value"),
        ("batch_size=2.5", "--set batch_size: expected a value like 12 or 2 or 4, got 2.5"),
        ("num_epochs=null", "got null"),
        ("num_epochs=true", "got true"),
        ("weight_decay=-1", "got -1"),
        ("initial_lr=NaN", "got NaN"),
        ('hu_per_unit="150"', "expected a value like 150.0 or 50.0"),
        ("max_patch_voxels=48", "expected a value like [64, 128, 128]"),
        ("step_size=[]", "got []"),
        ("step_size=[0.5,0.5,1.5]", "got [0.5,0.5,1.5]"),
        ("max_patch_voxels=[64,128]", "got [64,128]"),
        ("features_per_stage=[8,8]", "got [8,8]"),
        ("batch_size=0", "got 0"),
        ("hu_per_unit=0", "--set hu_per_unit: expected a value like 150.0 or 50.0, got 0"),
        ("iterations_per_epoch=0", "expected a value like null or 250 or 50"),
        ("p_mirror=7", "got 7"),
        ("scaling=[1.0]", "got [1.0]"),
        ('optimizer="Adam"', '--set optimizer: expected a value like "RAdam" or "SGD", got "Adam"'),
        ("side_output_weights=[0,0,0,0]", "got [0,0,0,0]"),
        ('regime="demo"', "--set regime: expected a value like those of --regime"),
        ("step_size=[0.5, null, 1]", "got [0.5, null, 1]"),
    ],
)
def test_bad_overrides_are_refused(override, message):
    with pytest.raises(ValueError) as error:
        load_regime("paper", "mid_level", [override])
    assert message in str(error.value)


def test_all_bad_overrides_are_named_at_once():
    with pytest.raises(InputError) as error:
        load_regime("paper", "anchor", ["num_epoch=3", "seed=1", "batch_size=0", "ancor.seed=1"])
    assert [part[: part.index(":")] for part in str(error.value).split("; ") if part.startswith("--set")] == [
        "--set num_epoch=3",
        "--set batch_size",
        "--set ancor.seed=1",
    ]


def test_what_the_user_names_for_a_branch_is_known_whatever_its_value():
    overrides = ["hu_per_unit=150.0", "anchor.batch_size=3", "mid_level.seed=1"]
    assert named_settings(overrides, "anchor") == {"hu_per_unit", "batch_size"}
    assert named_settings((), "anchor") == set()


def test_fine_tuning_takes_no_other_branchs_values():
    settings = load_regime("demo", "fine_tune")
    changed = override_settings(settings, ["fine_tune.num_epochs=3"], ["num_epochs"])
    assert (settings.num_epochs, changed.num_epochs) == (2, 3) and replace(changed, num_epochs=2) == settings
    with pytest.raises(InputError, match="expected a branch of fine_tune, got 'anchor'"):
        override_settings(settings, ["anchor.num_epochs=3"], ["num_epochs"])
    with pytest.raises(InputError, match="expected the name of a setting, got 'batch_size'; there are num_epochs"):
        override_settings(settings, ["batch_size=3"], ["num_epochs"])


def test_whole_numbers_and_null_are_taken_where_a_regime_has_their_kind():
    overrides = ["initial_lr=1", "step_size=[1,0.5,1]", "max_patch_mm=null", "seed=null", "iterations_per_epoch=null"]
    settings = load_regime("demo", "anchor", overrides)
    keys = ("initial_lr", "step_size", "max_patch_mm", "seed", "iterations_per_epoch")
    assert [getattr(settings, key) for key in keys] == [1, (1, 0.5, 1), None, None, None]


def test_overrides_of_a_branch_leave_the_others_alone():
    overrides = ["num_epochs=3", "detection.sigma_mm=5.5", "small_hard.max_patch_voxels=[32,32,16]"]
    settings = {branch: load_regime("paper", branch, overrides) for branch in ("anchor", "detection", "small_hard")}
    assert [values.num_epochs for values in settings.values()] == [3, 3, 3]
    assert [values.sigma_mm for values in settings.values()] == [8.0, 5.5, 8.0]
    assert settings["small_hard"].max_patch_voxels == (32, 32, 16)
    assert settings["anchor"].max_patch_voxels == (64, 128, 128)


def test_every_value_of_every_regime_is_one_that_its_setting_takes():
    seen = set()
    for key, rule in REGIME_RULES.items():
        for value in regime_values(key):
            assert rule.takes(value), (key, value)
            seen.add(key)
    assert seen == set(REGIME_RULES) - {"regime"}, "the regime's name is no value of a regime"


def test_null_is_taken_just_where_some_regime_has_it():
    for key in set(REGIME_RULES) - {"regime", "low_pass_ratio"}:  # null there is what older plans mean
        assert REGIME_RULES[key].takes(None) == (None in regime_values(key)), key


def test_keys_of_fine_tuning_are_its_own():
    assert set(regime_keys("fine_tune")) - set(regime_keys("anchor")) == {"vois_per_patch", "fine_tuned"}
    with pytest.raises(InputError, match="got 'vois_per_patch'"):
        load_regime("paper", "anchor", ["vois_per_patch=3"])
    chosen = load_regime("paper", "fine_tune", ["vois_per_patch=3", 'fine_tuned=["anchor"]'])
    assert (chosen.vois_per_patch, chosen.fine_tuned) == (3, ("anchor",))
