"""The super-network's mix written out branch by branch: the reference for tests and benchmarks."""

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
    # channel by channel, as one BatchNorm of all intermediates would be
    for index, (share, output, second) in enumerate(inner):
        part = slice(index * output.shape[1], (index + 1) * output.shape[1])
        running = unit.inner_norm.running_mean[part], unit.inner_norm.running_var[part]
        normed = functional.batch_norm(output, *running, training=unit.training, momentum=0.1).relu_()
        total = total + share * functional.conv3d(normed, second, padding="same")
    if unit.training:
        unit.inner_norm.num_batches_tracked.add_(1)
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
