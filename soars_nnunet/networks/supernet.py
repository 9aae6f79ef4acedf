"""The search's super-network: a P-HNN whose convolutions are softmax mixes of the six kinds (paper sec. 3.2).

Tensors are (B, C, Z, Y, X); kernels are (Z, Y, X).

The mix ``sum_k gamma_k phi_k(x)`` (eqs. 7 and 8) is never computed branch by branch. All candidates of
a unit share an affine-free BatchNorm, hence the convolution's input, and convolution is linear in its
kernel: the four plain kinds are one 5x5x5 convolution with ``sum_k gamma_k pad(w_k)``, and the last
convolutions of the two pseudo-3D kinds are one 5x1x1 convolution on their stacked intermediates with
gamma folded into the weights. The candidates' weights stay separate parameters; output and gradients
are those of the six branches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import nn
from torch.nn import functional

from soars_nnunet.networks.genotype import KINDS, NUM_BLOCKS, kernels
from soars_nnunet.networks.phnn import ProgressiveNetwork, validate_widths

PLAIN = tuple(kind for kind in KINDS if len(kernels(kind)) == 1)
PSEUDO = tuple(kind for kind in KINDS if len(kernels(kind)) == 2)
LARGEST = max(max(kernel) for kind in KINDS for kernel in kernels(kind))


class MixedConv(nn.Module):
    """One unit of a searchable block: BatchNorm -> ReLU -> the mix of the six kinds.

    Args:
        in_channels: C of the input.
        out_channels: O of the output.
        raw_input: True where the input is the image: no BatchNorm and no ReLU before the first convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, raw_input: bool = False) -> None:
        super().__init__()
        self.norm = nn.Identity() if raw_input else nn.Sequential(_shared_norm(in_channels), nn.ReLU(inplace=True))
        self.inner_norm = nn.Sequential(_shared_norm(len(PSEUDO) * out_channels), nn.ReLU(inplace=True))
        # by kind and position: "3D5.0" is a plain kernel, "P3D5.1" the one along Z
        self.weights = nn.ParameterDict()
        for kind in KINDS:
            for position, kernel in enumerate(kernels(kind)):
                channels = in_channels if position == 0 else out_channels
                self.weights[f"{kind}_{position}"] = nn.Parameter(torch.empty(out_channels, channels, *kernel))
        for weight in self.weights.values():
            nn.init.kaiming_normal_(weight)

    def forward(self, features: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
        """Mix of the six kinds.

        Args:
            features: (B, C, Z, Y, X).
            gamma: (6,), weights of ``KINDS``, summing to 1.

        Returns:
            (B, O, Z, Y, X).
        """
        share = dict(zip(KINDS, gamma, strict=True))
        inputs = self.norm(features)
        inner = self.inner_norm(_same_conv(inputs, torch.cat([self._padded(kind, 0) for kind in PSEUDO])))
        plain = torch.stack([share[kind] * self._padded(kind, 0, LARGEST) for kind in PLAIN]).sum(0)
        along_z = torch.cat([share[kind] * self._padded(kind, 1, LARGEST) for kind in PSEUDO], dim=1)
        return _same_conv(inputs, plain) + _same_conv(inner, along_z)

    def _padded(self, kind: str, position: int, depth: int = 1) -> torch.Tensor:
        """Kernel of a candidate, zero-padded to the largest in-plane width and ``depth`` along Z."""
        weight = self.weights[f"{kind}_{position}"]
        in_plane = 1 if position else LARGEST
        pads = [(full - width) // 2 for full, width in zip((depth, in_plane, in_plane), weight.shape[2:], strict=True)]
        return functional.pad(weight, [pad for pad in reversed(pads) for _ in range(2)])


class MixedBlock(nn.Module):
    """``num_convs`` mixed units that share one alpha: a block uses a single kind (paper sec. 3.2)."""

    def __init__(self, in_channels: int, out_channels: int, num_convs: int, first_block: bool = False) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(len(KINDS)))
        self.units = nn.ModuleList(
            MixedConv(out_channels if i else in_channels, out_channels, raw_input=first_block and i == 0)
            for i in range(num_convs)
        )

    def gamma(self) -> torch.Tensor:
        """(6,), softmax of alpha (eq. 7)."""
        return self.alpha.softmax(0)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(B, C, Z, Y, X) to (B, O, Z, Y, X)."""
        gamma = self.gamma()
        for unit in self.units:
            features = unit(features, gamma)
        return features


class SuperPHNN(ProgressiveNetwork):
    """P-HNN with searchable blocks; arguments as ``PHNN``'s, without a genotype.

    Raises:
        ValueError: As ``PHNN``.
    """

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        features_per_stage: Sequence[int] = (16, 32, 64, 128),
        n_convs_per_stage: Sequence[int] = (2, 2, 2, 2),
        strides: Sequence[Sequence[int]] = ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
        deep_supervision: bool = True,
        constant_background: float | None = None,
    ) -> None:
        validate_widths(features_per_stage, n_convs_per_stage)
        channels = (input_channels, *features_per_stage)
        blocks = [
            MixedBlock(channels[i], channels[i + 1], n_convs_per_stage[i], first_block=i == 0)
            for i in range(NUM_BLOCKS)
        ]
        super().__init__(blocks, num_classes, features_per_stage, strides, deep_supervision, constant_background)

    def gammas(self) -> torch.Tensor:
        """(4, 6), the share of each kind in each block; detached, on the CPU."""
        return torch.stack([block.gamma() for block in self.blocks]).detach().cpu()

    def genotype(self) -> list[str]:
        """Kind with the largest alpha of each block (paper sec. 3.2); the first of exact ties."""
        return [KINDS[int(block.alpha.argmax())] for block in self.blocks]

    def architecture_parameters(self) -> list[nn.Parameter]:
        """The four alphas."""
        return [block.alpha for block in self.blocks]

    def weight_parameters(self) -> Iterator[nn.Parameter]:
        """Everything but the alphas."""
        alphas = {id(alpha) for alpha in self.architecture_parameters()}
        return (parameter for parameter in self.parameters() if id(parameter) not in alphas)


def _shared_norm(channels: int) -> nn.BatchNorm3d:
    # without scale and shift: a candidate could otherwise trade its gamma for a scale
    return nn.BatchNorm3d(channels, affine=False)


def _same_conv(features: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    return functional.conv3d(features, kernel, padding=[width // 2 for width in kernel.shape[2:]])
