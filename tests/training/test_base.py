"""Optimisers, and what the folds of a model have in common."""

from dataclasses import replace

import pytest
import torch

from soars_nnunet.settings.regime import load_regime
from soars_nnunet.training.base import design, make_optimizer

SETTINGS = replace(load_regime("demo", "anchor"), channel_names={"0": "CT"})


def configuration(settings=SETTINGS, **changes):
    known = {"architecture": {"a": 1}, "patch_size": [4, 4, 4], "spacing": [1.0, 1.0, 1.0], "batch_size": 2}
    return {**known, "soars": settings.to_json(), **changes}


@pytest.mark.parametrize(
    "change",
    [
        {"sigma_mm": 3.0},
        {"batch_size": 3},
        {"in_sample": True},
        {"guidance": ("Eye_L",)},
        {"split_sha256": "other"},
    ],
)
def test_other_trainings_are_other_designs(change):
    assert design(configuration(replace(SETTINGS, **change))) != design(configuration())


@pytest.mark.parametrize(
    "change",
    [{"step_size": (1, 1, 1)}, {"reach": [[None]]}, {"sides": [[[0, 1, 30.0]]]}, {"search_alpha_lr": 0.5}],
)
def test_prediction_and_search_are_no_part_of_a_model(change):
    assert design(configuration(replace(SETTINGS, **change))) == design(configuration())


def test_grid_and_network_are_part_of_a_model():
    for change in ({"patch_size": [8, 4, 4]}, {"spacing": [2.0, 1.0, 1.0]}, {"architecture": {"a": 2}}):
        assert design(configuration(**change)) != design(configuration())
    assert design({"patch_size": [4, 4, 4]})["soars"] == {}, "stock plans"


def test_plans_that_do_not_name_a_later_setting_are_the_same_design():
    older = configuration()
    for key in ("p_guidance_dropout", "dice_absent_classes", "side_output_weights"):
        del older["soars"][key]
    assert design(older) == design(configuration())


def test_radams_weight_decay_is_the_settings():
    weight = torch.nn.Parameter(torch.ones(1))
    for decoupled in (False, True):
        settings = replace(SETTINGS, weight_decay=0.25, decoupled_weight_decay=decoupled, beta1=0.8, beta2=0.9)
        optimizer = make_optimizer(settings, [weight], 0.1)
        expected = torch.optim.RAdam([weight], 0.1, (0.8, 0.9), weight_decay=0.25, decoupled_weight_decay=decoupled)
        assert optimizer.defaults == expected.defaults
