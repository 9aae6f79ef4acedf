"""Post-processing that is decided out of fold."""

import numpy as np
import pytest

from soars_nnunet.cascade.record import POSTPROCESSING
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.evaluation.surface import dice
from soars_nnunet.prediction.postprocess import (
    NO_POSTPROCESSING,
    ComponentDices,
    ComponentEffect,
    component_dices,
    component_effects,
    decided_for,
    format_effects,
    write_postprocessing,
)
from soars_nnunet.profile import load_profile


def test_stray_components_are_weighed_by_the_reference():
    profile = load_profile("hn42")
    organ = profile.organs[0]
    predicted = np.zeros((4, 20, 4), np.uint8)
    predicted[:, 1:7], predicted[:, 15:17] = organ.label, organ.label
    for reference_part, better in ((slice(1, 7), True), (slice(15, 17), False)):
        reference = np.zeros_like(predicted)
        reference[:, reference_part] = 9
        dices = component_dices(predicted, reference, (1, 2, 1), profile, labels={organ.name: 9})[organ.name]
        before, after = dices.as_predicted, dices.largest
        assert (after > before) == better and before == pytest.approx(dice(predicted == organ.label, reference == 9))
        assert ComponentEffect(organ.name, 1, before, after).helps == better
    assert component_dices(predicted, np.zeros_like(predicted), (1, 2, 1), profile, labels={organ.name: 9}) == {}


def test_an_effect_is_the_mean_over_the_cases_that_have_the_organ():
    profile = load_profile("hn42")
    first, second = profile.organs[0].name, profile.organs[5].name
    cases = [
        {second: ComponentDices(0.5, 0.75), first: ComponentDices(0.25, 0.25)},
        {second: ComponentDices(0.75, 0.5)},
        {},
        {second: ComponentDices(0.25, 0.75)},
    ]
    effects = component_effects(cases, profile)
    assert [(effect.organ, effect.n) for effect in effects] == [(first, 1), (second, 3)], "in the profile's order"
    assert (effects[0].dsc, effects[0].dsc_largest, effects[0].helps) == (0.25, 0.25, False)
    assert (effects[1].dsc, effects[1].helps) == (0.5, True)
    assert effects[1].dsc_largest == pytest.approx(2 / 3)
    assert component_effects([{}], profile) == []


def test_only_effects_that_change_something_are_told():
    effects = [
        ComponentEffect("Larynx", 3, 0.5, 0.625),
        ComponentEffect("Brainstem", 3, 0.75, 0.75),
        ComponentEffect("Eye_L", 2, 0.75, 0.5),
    ]
    assert format_effects(effects) == [
        "Larynx: DSC 0.5000 -> 0.6250 over 3 cases; kept",
        "Eye_L: DSC 0.7500 -> 0.5000 over 2 cases; not applied",
    ]


def test_a_decision_is_for_the_weights_that_it_was_taken_with(tmp_path):
    manifest = tmp_path / "manifest.json"
    assert decided_for(None, {"anchor": ["a"]}) == NO_POSTPROCESSING
    effects = [ComponentEffect("Larynx", 3, 0.5, 0.625), ComponentEffect("Eye_L", 2, 0.75, 0.5)]
    path = write_postprocessing(manifest, effects, {"anchor": ["a", "b"]}, {"mirror": False})
    assert path == tmp_path / POSTPROCESSING
    assert list(read_json(path)) == ["largest_part", "effects", "models", "options", "provenance"]
    for fingerprints in ({"anchor": ["a", "b"]}, {"anchor": ["b"]}, {}):
        decided = decided_for(read_json(path), fingerprints)
        assert decided.largest_part == ["Larynx"] and decided.warnings == []
    for fingerprints in ({"anchor": ["c"]}, {"anchor": ["a"], "mid_level": ["d"]}):
        decided = decided_for(read_json(path), fingerprints)
        assert decided.largest_part == [] and "rerun soars-cross-validate" in decided.warnings[0]


def test_a_decision_for_another_profile_is_not_applied(tmp_path):
    effects = [ComponentEffect("Larynx", 1, 0.5, 0.6)]
    decided = read_json(write_postprocessing(tmp_path / "manifest.json", effects, {"anchor": ["a"]}, {}, cascade="x"))
    assert decided_for(decided, {"anchor": ["a"]}, "x").largest_part == ["Larynx"]
    other = decided_for(decided, {"anchor": ["a"]}, "y")
    assert other.largest_part == [] and "decided for another profile" in other.warnings[0]
    for known, present in (("", "y"), ("x", "")):
        assert decided_for({**decided, "cascade": known}, {"anchor": ["a"]}, present).largest_part == ["Larynx"]
