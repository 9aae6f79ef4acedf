"""Optimisers as regimes name them."""

from __future__ import annotations

import torch

from soars_nnunet.settings.branch_settings import BranchSettings


def make_optimizer(settings: BranchSettings, parameters: list, lr: float) -> torch.optim.Optimizer:
    """Optimiser as a regime names it.

    Args:
        settings: ``optimizer`` (``RAdam``, or ``SGD`` with Nesterov momentum as nnU-Net has it), ``beta1`` (the
            momentum), ``beta2``, ``weight_decay``, and ``decoupled_weight_decay``: whether RAdam's weights decay by
            themselves instead of by the gradient.
        parameters: Weights, or groups of them with values of their own.
        lr: Initial learning rate.

    Raises:
        RuntimeError: If the name is another.
    """
    if settings.optimizer == "SGD":
        decay = settings.weight_decay
        return torch.optim.SGD(parameters, lr, momentum=settings.beta1, weight_decay=decay, nesterov=True)
    if settings.optimizer != "RAdam":
        raise RuntimeError(f"optimizer: expected RAdam or SGD, got {settings.optimizer}")
    return torch.optim.RAdam(
        parameters,
        lr,
        betas=(settings.beta1, settings.beta2),
        weight_decay=settings.weight_decay,
        decoupled_weight_decay=settings.decoupled_weight_decay,
    )
