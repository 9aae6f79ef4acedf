"""Tasks whose answer is known: the search must move gamma to the kinds that can see the signal."""

from dataclasses import replace

import pytest
import torch

from soars_nnunet.networks.genotype import KINDS, kernels
from soars_nnunet.networks.supernet import SuperPHNN
from soars_nnunet.settings.regime import load_regime
from soars_nnunet.training.losses import DiceCELoss
from soars_nnunet.training.search import SOARSAnchorSearchTrainer

REACH = 2
SIGNALS = {"through-plane": 0, "in-plane": 2}


def seeing(axis):
    """Kinds whose kernels reach two voxels along an axis."""
    return [kind for kind in KINDS if sum(kernel[axis] // 2 for kernel in kernels(kind)) >= REACH]


def batch(axis, generator):
    """White noise; a voxel's label is the sign of the sum of the voxels two before and two behind it along the axis."""
    image = torch.randn(2, 1, 10, 10, 10, generator=generator)
    label = image.roll(REACH, 2 + axis) + image.roll(-REACH, 2 + axis) > 0
    return {"data": image, "target": label.long()}


SETTINGS = replace(
    load_regime("demo", "anchor"),
    search_frozen_epochs=1,
    search_alpha_lr=0.15,
    search_alpha_betas=(0.5, 0.99),
    beta1=0.9,
    beta2=0.99,
    weight_decay=0.0,
    decoupled_weight_decay=False,
    lr_decays_by_step=False,
)


def search(axis, seed, frozen=20, joint=30):
    """Gamma of block 1 after the search trainer's own steps on endless noise."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(1000 + seed)
    # everything of nnU-Net's trainer that reads files is left out
    trainer = SOARSAnchorSearchTrainer.__new__(SOARSAnchorSearchTrainer)
    trainer.network = SuperPHNN(1, 2, (4, 4, 4, 4), (1, 1, 1, 1))
    trainer.settings, trainer.initial_lr = SETTINGS, 0.01
    trainer.num_epochs, trainer.device, trainer.grad_scaler = 2, torch.device("cpu"), None
    trainer.optimizer, _ = trainer.configure_optimizers()
    loss = DiceCELoss()
    trainer.criterion, trainer.not_annotated, trainer.not_annotated_in_patches = loss, {}, {}
    trainer.loss = lambda outputs, target: sum(loss(output, target) for output in outputs)
    trainer.dataloader_alpha = (batch(axis, generator) for _ in range(joint))
    for step in range(frozen + joint):
        trainer.current_epoch = int(step >= frozen)
        trainer.train_step(batch(axis, generator))
    return trainer.network.gammas()[0]


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
