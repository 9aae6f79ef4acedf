"""P-HNN's building block: n convolutions of one kind.

Tensors are (B, C, Z, Y, X); kernels are (Z, Y, X).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from soars_nnunet.networks.genotype import kernels


class ConvBlock(nn.Sequential):
    """``num_convs`` convolutions of one kind; keeps the spatial size.

    Every unit is BatchNorm -> ReLU -> convolution with "same" zero padding (paper sec. 3).
    A pseudo-3D convolution is two units: 1xkxk, then kx1x1. The first unit goes from
    ``in_channels`` to ``out_channels``, the others from ``out_channels`` to ``out_channels``.
    Convolutions carry no bias: what follows them, at once or after max-pooling, is either a
    BatchNorm, which would subtract it, or a score convolution, which has a bias of its own.

    The ``ConvDropoutNormReLU`` of dynamic-network-architectures normalises behind its convolution, so that the
    scores would see other features, and poolings would come behind ReLU instead of before BatchNorm.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        kind: One of ``genotype.KINDS``.
        num_convs: Convolutions of that kind, at least 1.
        first_block: True for the network's first block, whose first convolution sees the
            raw image: it gets neither BatchNorm nor ReLU.

    Raises:
        ValueError: If the kind is unknown or ``num_convs`` is below 1.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kind: str, num_convs: int, *, first_block: bool = False
    ) -> None:
        if num_convs < 1:
            raise ValueError(f"expected at least 1 convolution a block, got num_convs={num_convs}")
        layers: list[nn.Module] = []
        channels = in_channels
        for kernel in kernels(kind) * num_convs:
            if layers or not first_block:
                layers.append(nn.BatchNorm3d(channels))
                layers.append(nn.ReLU(inplace=True))
            layers.append(nn.Conv3d(channels, out_channels, kernel, padding=same_padding(kernel), bias=False))
            channels = out_channels
        super().__init__(*layers)

    def fold_batch_norm(self) -> None:
        """Make each BatchNorm that follows a convolution part of it; in evaluation mode."""
        for i in range(1, len(self)):
            convolution, norm = self[i - 1], self[i]
            if isinstance(convolution, nn.Conv3d) and isinstance(norm, nn.BatchNorm3d):
                self[i - 1] = fuse_conv_bn_eval(convolution, norm)
                self[i] = nn.Identity()


def same_padding(kernel: Sequence[int]) -> tuple[int, int, int]:
    """Zero padding (Z, Y, X) with which a kernel of odd widths keeps the spatial size."""
    depth, height, width = kernel
    return depth // 2, height // 2, width // 2
