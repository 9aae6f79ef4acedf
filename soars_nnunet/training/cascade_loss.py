"""Loss of all branches in one graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from soars_nnunet.settings.branch_settings import JoinedBranch
from soars_nnunet.training.detection import HeatmapChannelsLoss
from soars_nnunet.training.losses import DiceCELoss


class CascadeLoss(nn.Module):
    """Sum of the branches' own losses, each the weighted mean over its four supervised sums; equal branches are ours.

    Args:
        losses: By branch.
        weights: Of its four sums, by branch.
    """

    def __init__(
        self, losses: Mapping[str, DiceCELoss | HeatmapChannelsLoss], weights: Mapping[str, Sequence[float]]
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(losses)
        self.weights = {key: np.asarray(own) / np.sum(own) for key, own in weights.items()}

    def forward(self, outputs: Mapping[str, Sequence[torch.Tensor]], targets: Sequence[torch.Tensor]) -> torch.Tensor:
        """Loss of the outputs by branch against one target a branch, in the same order."""
        total = torch.zeros((), device=targets[0].device)
        for (key, sums), target in zip(outputs.items(), targets, strict=True):
            for weight, output in zip(self.weights[key].tolist(), sums, strict=True):
                total = total + weight * self.branches[key](output, target)
        return total


def branch_losses(joined: Mapping[str, JoinedBranch]) -> dict[str, DiceCELoss | HeatmapChannelsLoss]:
    """Each branch's own loss, by key."""
    losses: dict[str, DiceCELoss | HeatmapChannelsLoss] = {}
    for key, branch in joined.items():
        own = branch.loss
        if key == "detection":
            losses[key] = HeatmapChannelsLoss(own.heatmap_foreground_weight)
            continue
        losses[key] = DiceCELoss(
            own.dice_weight,
            own.ce_weight,
            own.dice_background,
            include_absent=own.dice_absent_classes,
        )
    return losses
