"""The super-network's mix written out branch by branch: the reference for tests and benchmarks."""

import torch
from torch.nn import functional

from soars_nnunet.networks.genotype import KINDS, kernels
from soars_nnunet.networks.supernet import MixedConv


def six_branches(unit, features, gamma):
    """The mix written out: one branch a kind, from the same parameters and normalisations."""
    inputs = features if unit.norm is None else unit.norm(features).relu_()
    total, inner = 0, []
    for share, kind in zip(gamma, KINDS, strict=True):
        first, *second = (unit.weights[f"{kind}_{i}"] for i in range(len(kernels(kind))))
        output = functional.conv3d(inputs, first, padding="same")
        if second:
            inner.append((share, output, second[0]))
        else:
            total = total + share * output
    normed = unit.inner_norm(torch.cat([output for _, output, _ in inner], 1)).relu().chunk(len(inner), 1)
    for (share, _, second), features_ in zip(inner, normed, strict=True):
        total = total + share * functional.conv3d(features_, second, padding="same")
    return total


class SixBranchConv(MixedConv):
    """A unit that runs each kind by itself."""

    def forward(self, features, gamma):
        return six_branches(self, features, gamma)


def to_six_branches(net):
    """Let every unit of a super-network run branch by branch; changes it in place."""
    for module in net.modules():
        if isinstance(module, MixedConv):
            module.__class__ = SixBranchConv
    return net
