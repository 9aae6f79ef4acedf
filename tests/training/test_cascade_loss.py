"""The loss of all branches in one graph, against the branches' own."""

from dataclasses import replace

import torch

from soars_nnunet.settings.branch_settings import JoinedBranch
from soars_nnunet.settings.regime import load_regime
from soars_nnunet.training.cascade_loss import CascadeLoss, branch_losses
from soars_nnunet.training.detection import HeatmapChannelsLoss
from soars_nnunet.training.losses import DiceCELoss

LOSS = replace(load_regime("demo", "anchor").loss, dice_weight=0.5, ce_weight=2.0, dice_background=True)


def joined(loss):
    return JoinedBranch(plans="nnUNetPlans", classes=(("a", ("a",)),), patch_size=(4, 4, 4), loss=loss)


def test_branches_have_the_losses_of_their_settings():
    losses = branch_losses({"anchor": joined(LOSS), "detection": joined(replace(LOSS, heatmap_foreground_weight=7.0))})
    dice, heatmap = losses["anchor"], losses["detection"]
    assert isinstance(dice, DiceCELoss) and isinstance(heatmap, HeatmapChannelsLoss)
    assert (dice.weight_dice, dice.weight_ce, dice.include_background, dice.include_absent) == (0.5, 2.0, True, False)
    assert heatmap.foreground_weight == 7.0


def test_branches_add_up_and_sums_are_averaged_by_weight():
    torch.manual_seed(0)
    weights = {"anchor": (1.0, 3.0), "mid_level": (1.0, 0.0)}
    losses = branch_losses({key: joined(LOSS) for key in weights})
    outputs = {key: [torch.randn(2, 3, 4, 4, 4) for _ in range(2)] for key in weights}
    targets = [torch.randint(0, 3, (2, 1, 4, 4, 4)) for _ in weights]
    own = [
        [losses[key](output, target) for output in outputs[key]] for key, target in zip(weights, targets, strict=True)
    ]
    expected = (own[0][0] + 3 * own[0][1]) / 4 + own[1][0]
    torch.testing.assert_close(CascadeLoss(losses, weights)(outputs, targets), expected)
