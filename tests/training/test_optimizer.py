"""Optimisers as regimes name them."""

from dataclasses import replace

import torch

from soars_nnunet.settings.regime import load_regime
from soars_nnunet.training.optimizer import make_optimizer

SETTINGS = load_regime("demo", "anchor")


def test_radams_weight_decay_is_the_settings():
    weight = torch.nn.Parameter(torch.ones(1))
    for decoupled in (False, True):
        settings = replace(SETTINGS, weight_decay=0.25, decoupled_weight_decay=decoupled, beta1=0.8, beta2=0.9)
        optimizer = make_optimizer(settings, [weight], 0.1)
        expected = torch.optim.RAdam([weight], 0.1, (0.8, 0.9), weight_decay=0.25, decoupled_weight_decay=decoupled)
        assert optimizer.defaults == expected.defaults
