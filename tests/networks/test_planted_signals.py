"""Tasks whose answer is known: the search must move gamma to the kinds that can see the signal."""

import pytest
import torch

from soars_nnunet.networks.genotype import KINDS, kernels
from soars_nnunet.networks.supernet import SuperPHNN
from soars_nnunet.training.losses import DiceCELoss

REACH = 2
SIGNALS = {"through-plane": 0, "in-plane": 2}


def seeing(axis):
    """Kinds whose kernels reach two voxels along an axis."""
    return [kind for kind in KINDS if sum(kernel[axis] // 2 for kernel in kernels(kind)) >= REACH]


def batch(axis, generator):
    """White noise; a voxel's label is the sign of the sum of the voxels two before and two behind it along the axis."""
    image = torch.randn(2, 1, 10, 10, 10, generator=generator)
    label = image.roll(REACH, 2 + axis) + image.roll(-REACH, 2 + axis) > 0
    return image, label.long()


def search(axis, seed, frozen=20, joint=30):
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(1000 + seed)
    net, loss = SuperPHNN(1, 2, (4, 4, 4, 4), (1, 1, 1, 1)), DiceCELoss()
    weights = torch.optim.RAdam(net.weight_parameters(), lr=0.01, betas=(0.9, 0.99))
    alphas = torch.optim.RAdam(net.architecture_parameters(), lr=0.15, betas=(0.5, 0.99))
    for step in range(frozen + joint):
        for optimizer in (alphas, weights) if step >= frozen else (weights,):
            image, label = batch(axis, generator)
            net.zero_grad(set_to_none=True)
            sum(loss(output, label) for output in net(image)).backward()
            optimizer.step()
    return net.gammas()[0]


def test_kinds_that_see():
    assert seeing(0) == ["3D5", "P3D5"] and seeing(2) == ["2D5", "3D5", "P3D5"]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 5))])
@pytest.mark.parametrize("signal", SIGNALS)
def test_gamma_moves_to_the_kinds_that_see(signal, seed):
    axis = SIGNALS[signal]
    kinds = seeing(axis)
    gamma = dict(zip(KINDS, search(axis, seed).tolist(), strict=True))
    chance = len(kinds) / len(KINDS)
    assert sum(gamma[kind] for kind in kinds) > chance + 0.25 * (1 - chance), gamma
