"""The super-network's mix written out branch by branch: the reference for a test and a benchmark."""

from torch import Tensor
from torch.nn import functional

from soars_nnunet.networks.genotype import KINDS, kernels
from soars_nnunet.networks.supernet import MixedConv, SuperPHNN


def six_branches(unit: MixedConv, features: Tensor, gamma: Tensor) -> Tensor:
    """Mix with one branch a kind, from the unit's own parameters and normalisations.

    Args:
        unit: Whose weights are used.
        features: Input (B, C, Z, Y, X).
        gamma: Share of each kind, in the order of ``KINDS``.

    Returns:
        Weighted sum of the branches (B, C, Z, Y, X).
    """
    inputs = features if unit.norm is None else unit.norm(features).relu_()
    total = 0
    pseudo_3d = []
    for share, kind in zip(gamma, KINDS, strict=True):
        output = functional.conv3d(inputs, unit.weights[f"{kind}_0"], padding="same")
        if len(kernels(kind)) > 1:
            pseudo_3d.append((share, output, unit.weights[f"{kind}_1"]))
        else:
            total = total + share * output
    # channel by channel, as one BatchNorm of all intermediates would be
    for index, (share, output, second) in enumerate(pseudo_3d):
        width = output.shape[1]
        part = slice(index * width, (index + 1) * width)
        mean, variance = unit.inner_norm.running_mean[part], unit.inner_norm.running_var[part]
        normed = functional.batch_norm(output, mean, variance, training=unit.training, momentum=0.1).relu_()
        total = total + share * functional.conv3d(normed, second, padding="same")
    if unit.training:
        unit.inner_norm.num_batches_tracked.add_(1)
    return total


class SixBranchConv(MixedConv):
    """A unit that runs each kind by itself."""

    def forward(self, features: Tensor, gamma: Tensor) -> Tensor:
        """Mix of the kinds (B, C, Z, Y, X)."""
        return six_branches(self, features, gamma)


def to_six_branches(net: SuperPHNN) -> SuperPHNN:
    """Let every unit of a super-network run branch by branch; changes it in place."""
    for module in net.modules():
        if isinstance(module, MixedConv):
            module.__class__ = SixBranchConv
    return net
