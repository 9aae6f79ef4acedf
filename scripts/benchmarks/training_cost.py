#!/usr/bin/env python
"""What a training of each regime takes: memory of a step, and arithmetic of a fold. Computes with shapes alone.

    python -m scripts.benchmarks.training_cost [--patients 100 --folds 4]
    python -m scripts.benchmarks.training_cost --check      # one real step of regime demo: estimate beside measurement

Memory is what autograd keeps for the backward pass, outputs and their softmax for the loss, and weights, gradients and
two moments: all in float32. Arithmetic is that of the convolutions, forward and backward.
"""

import argparse
import resource
from dataclasses import dataclass, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from scripts import markdown
from soars_nnunet.branches import BRANCHES
from soars_nnunet.networks.genotype import published_genotype
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.profile import load_profile
from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.passes import complete_passes
from soars_nnunet.settings.regime import load_regime
from soars_nnunet.training.losses import DiceCELoss

GIB = 2**30
REGIMES = ("paper", "nnunet", "demo")
WHOLE_CT = ("anchor", "mid_level")
"""Branches whose patch is the regime's; detection's is mid-level's, small & hard's the largest VOI."""

COPIES = 4
"""Of the weights: themselves, gradients, two moments of the optimiser."""

LOSS_COPIES = 2
"""Of every output: itself and its softmax."""


@dataclass(frozen=True)
class Cost:
    """Of a training step: bytes that it holds at most, and floating-point operations (an addition is one)."""

    bytes: int
    flop: int


def step_cost(network: PHNN, image: torch.Tensor) -> Cost:
    """Cost of a step.

    Args:
        network: On the device ``meta``, where tensors have no values.
        image: (B, C, Z, Y, X), there too.
    """
    weights = {parameter.untyped_storage()._cdata: parameter.numel() * 4 for parameter in network.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()  # several operations may keep one tensor
        if storage._cdata not in weights:
            kept[storage._cdata] = storage.nbytes()
        return tensor

    network.train()
    with FlopCounterMode(display=False) as counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda same: same):
        outputs = network(image)
        torch.stack([output.mean() for output in outputs]).sum().backward()
    of_loss = sum(LOSS_COPIES * output.numel() * 4 for output in outputs)
    return Cost(sum(kept.values()) + of_loss + COPIES * sum(weights.values()), counter.get_total_flops())


def make_step(branch: str, settings: BranchSettings, device: str) -> tuple[PHNN, torch.Tensor]:
    """Network and input of a step of a branch of profile hn42."""
    profile = load_profile("hn42")
    anchors = len(profile.tier("anchor"))
    channels = 1 if branch == "anchor" else 1 + anchors
    classes = 1 + len(profile.tier(BRANCHES[branch].tier))
    assert settings.max_patch_voxels is not None
    with torch.device(device):
        network = PHNN(channels, classes, published_genotype(branch), list(settings.features_per_stage))
        return network, torch.zeros(settings.batch_size, channels, *settings.max_patch_voxels)


def print_costs(patients: int, folds: int) -> None:
    """A row a regime and branch."""
    cases = patients * (folds - 1) / folds
    header = ["regime", "branch", "batch", "patch", "GiB", "TFLOP a step", "steps a fold", "PFLOP a fold"]
    print("\n".join(markdown.heading(header)))
    for regime in REGIMES:
        for branch in WHOLE_CT:
            settings = complete_passes(load_regime(regime, branch), cases)
            cost = step_cost(*make_step(branch, settings, "meta"))
            assert settings.iterations_per_epoch is not None and settings.max_patch_voxels is not None
            steps = settings.num_epochs * settings.iterations_per_epoch
            cells = [regime, branch, str(settings.batch_size), " x ".join(map(str, settings.max_patch_voxels))]
            flop = steps * cost.flop
            cells += [f"{cost.bytes / GIB:.1f}", f"{cost.flop / 1e12:.3g}", str(steps), f"{flop / 1e15:.3g}"]
            print(markdown.row(cells))


def check() -> None:
    """One real step beside its estimate, on the CPU."""
    settings = replace(load_regime("demo", "anchor"), max_patch_voxels=(64, 64, 64))
    estimate = step_cost(*make_step("anchor", settings, "meta"))
    network, image = make_step("anchor", settings, "cpu")
    target = torch.zeros(settings.batch_size, 1, *image.shape[2:], dtype=torch.long)
    loss = DiceCELoss()
    optimizer = torch.optim.RAdam(network.parameters())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for _ in range(2):
        optimizer.zero_grad(set_to_none=True)
        torch.stack([loss(output, target) for output in network.train()(image)]).sum().backward()
        optimizer.step()
    measured = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    print(f"batch 2 of 64 x 64 x 64: estimated {estimate.bytes / GIB:.2f} GiB, measured {measured / GIB:.2f} GiB")


def main() -> None:
    """Parse, compute, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=100)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        check()
    else:
        print_costs(options.patients, options.folds)


if __name__ == "__main__":
    main()
