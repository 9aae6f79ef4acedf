"""P-HNN, the progressive holistically nested network of every SOARS tier (paper sec. 3, ref. 12).

Legend: B batch, C input channels, K classes, Z Y X space (feet to head, front to back, right to
left). ``scores[i]`` is (B, K, Zi, Yi, Xi) on the grid of block i; grid 0 has the input's size if
``strides[0]`` is (1, 1, 1).

P-HNN has no decoder: nothing but class scores is ever upsampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import prod

import torch
from dynamic_network_architectures.initialization.weight_init import InitWeights_He
from torch import nn
from torch.nn import functional

from soars_nnunet.networks.blocks import ConvBlock
from soars_nnunet.networks.genotype import NUM_BLOCKS, validate_genotype

SCORE_INIT_STD = 0.01
"""Standard deviation of the score convolutions' initial weights. They are summed over the blocks
and feed a softmax or an L2 loss at once, so they start near zero (as heads usually do); He's
initialisation would start with logits of standard deviation 2 to 3."""

HEATMAP_BACKGROUND = 0.25
"""Channel 0 of the detection network: a heat map above it wins nnU-Net's argmax, within 13 mm of a peak of 1."""


class ProgressiveNetwork(nn.Module):
    """Four blocks, each adding its upsampled class scores to the sum of the shallower ones.

    ``sum_k = up(scores_1) + ... + up(scores_k)``, where ``up`` undoes the poolings one at a time:
    each step is a trilinear interpolation (align_corners False) by exactly the stride of that
    pooling, cropped to the size before it. ``up`` has no parameters and is linear, so that the
    deepest sum can be accumulated from the deepest grid to the shallowest:
    ``s_1 + up(s_2 + up(s_3 + up(s_4)))``. Poolings round up, so every input size works and
    scores stay aligned with the input's voxels.

    Args:
        blocks: Four modules, (B, Ci, Zi, Yi, Xi) to (B, features_per_stage[i], Zi, Yi, Xi).
        num_classes: K, output channels including background.
        features_per_stage: Channels that the four blocks put out.
        strides: Max-pooling (Z, Y, X) before each block; kernel = stride, (1, 1, 1) is none.
        deep_supervision: Return all four sums; can be toggled later on the attribute.
        constant_background: If given, output channel 0 is a map of this constant and only the
            other ``num_classes - 1`` are computed (the heat maps of the detection network).

    Raises:
        ValueError: If the lists do not have one valid entry for each of the four blocks.
    """

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        num_classes: int,
        features_per_stage: Sequence[int],
        strides: Sequence[Sequence[int]],
        *,
        deep_supervision: bool,
        constant_background: float | None,
    ) -> None:
        super().__init__()
        _validate(features_per_stage, strides, num_classes, constant_background)
        self.num_classes = num_classes
        self.strides = tuple(_as_triple(stride) for stride in strides)
        self.deep_supervision = deep_supervision
        self.constant_background = constant_background
        self.blocks = nn.ModuleList(blocks)
        num_scores = num_classes - (constant_background is not None)
        self.score_convs = nn.ModuleList()
        for width in features_per_stage:
            self.score_convs.append(nn.Conv3d(width, num_scores, 1))

    def forward(self, image: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Segment (or regress) one batch.

        Args:
            image: (B, C, Z, Y, X), any spatial size.

        Returns:
            With deep supervision the four sums, each (B, K, Z, Y, X), DEEPEST FIRST; without
            it only the deepest, equal to the first of these within rounding. The latter keeps
            no more than two K x full-size tensors alive and interpolates to full size once.
        """
        scores = self.block_scores(image)
        size = image.shape[2:]
        if not self.deep_supervision:
            return self._deepest_sum(scores, size)
        return self._all_sums([score.contiguous() for score in scores], size)

    def block_scores(self, image: torch.Tensor) -> list[torch.Tensor]:
        """Class scores of the blocks, shallowest first, each on its own block's grid."""
        scores = []
        features = image
        for i, (block, score_conv, stride) in enumerate(zip(self.blocks, self.score_convs, self.strides, strict=True)):
            features = block(_pool(features, stride))
            if self.constant_background is None:
                scores.append(score_conv(features))
            else:
                scores.append(self._with_constant(features, i))
        return scores

    def _with_constant(self, features: torch.Tensor, i: int) -> torch.Tensor:
        """Scores of block i behind a map of the constant, which enters with the first block; the others add zero."""
        score_conv = self.score_convs[i]
        assert isinstance(score_conv, nn.Conv3d) and score_conv.bias is not None
        weight = functional.pad(score_conv.weight, (0, 0) * 4 + (1, 0))  # one more output channel in front
        bias = functional.pad(score_conv.bias, (1, 0), value=0.0 if i else self.constant_background)
        return functional.conv3d(features, weight, bias)

    def _deepest_sum(self, scores: list[torch.Tensor], size: Sequence[int]) -> torch.Tensor:
        total = scores[-1]
        for i in range(NUM_BLOCKS - 1, 0, -1):
            # in place: no gradient needs the scores' values
            total = scores[i - 1].add_(_upsample(total, self.strides[i], scores[i - 1].shape[2:]))
        return _upsample(total, self.strides[0], size)

    def _all_sums(self, scores: list[torch.Tensor], size: Sequence[int]) -> list[torch.Tensor]:
        sums: list[torch.Tensor] = []
        for i, score in enumerate(scores):
            for j in range(i, -1, -1):
                size_before_pooling = scores[j - 1].shape[2:] if j else size
                score = _upsample(score, self.strides[j], size_before_pooling)
            sums.append(sums[-1] + score if sums else score)
        return sums[::-1]

    @staticmethod
    def initialize(module: nn.Module) -> None:
        """Initialise one module (for ``apply``): He for ReLU, near zero for the 1x1x1 score convolutions."""
        InitWeights_He(neg_slope=0)(module)
        if isinstance(module, nn.Conv3d) and module.kernel_size == (1, 1, 1):
            nn.init.normal_(module.weight, std=SCORE_INIT_STD)


class PHNN(ProgressiveNetwork):
    """P-HNN of a genotype. All arguments are JSON-able.

    Args:
        input_channels: C, the CT plus any guidance channels.
        num_classes: K, output channels including background.
        genotype: Kinds of the four blocks, see ``genotype.KINDS``.
        features_per_stage: Channels of the four blocks.
        n_convs_per_stage: Convolutions of the four blocks (a pseudo-3D one counts once).
        strides: See ``ProgressiveNetwork``, as the arguments below.
        deep_supervision: Return all four sums.
        constant_background: Constant of output channel 0, if it is not computed.

    Raises:
        ValueError: If the lists do not have one valid entry for each of the four blocks.
    """

    def __init__(
        self,
        input_channels: int,
        num_classes: int,
        genotype: Sequence[str],
        features_per_stage: Sequence[int] = (16, 32, 64, 128),
        *,
        n_convs_per_stage: Sequence[int] = (2, 2, 2, 2),
        strides: Sequence[Sequence[int]] = ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
        deep_supervision: bool = True,
        constant_background: float | None = None,
    ) -> None:
        validate_genotype(genotype)
        validate_widths(features_per_stage, n_convs_per_stage)
        blocks: list[nn.Module] = []
        in_channels = input_channels
        for kind, width, num_convs in zip(genotype, features_per_stage, n_convs_per_stage, strict=True):
            blocks.append(ConvBlock(in_channels, width, kind, num_convs, first_block=not blocks))
            in_channels = width
        super().__init__(
            blocks,
            num_classes,
            features_per_stage,
            strides,
            deep_supervision=deep_supervision,
            constant_background=constant_background,
        )

    def fold_batch_norm(self) -> None:
        """Make each BatchNorm that follows a convolution part of it, for prediction alone.

        Outputs stay the same within rounding; the network cannot be trained afterwards, and no checkpoint fits it.

        Raises:
            RuntimeError: In training mode, where BatchNorm depends on the batch.
        """
        if self.training:
            raise RuntimeError("expected a network in evaluation mode; call eval() first")
        for block in self.blocks:
            assert isinstance(block, ConvBlock)
            block.fold_batch_norm()

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> int:
        """Elements that the convolutions and the sums put out for one sample, for memory estimates.

        Args:
            input_size: (Z, Y, X) of the input, without batch and channels.

        Raises:
            ValueError: If ``input_size`` has not three entries.
        """
        if len(input_size) != 3:
            raise ValueError(f"expected an input size (Z, Y, X), got {tuple(input_size)}")
        num_sums = NUM_BLOCKS if self.deep_supervision else 1
        total = prod(input_size) * self.num_classes * num_sums
        size = tuple(input_size)
        for block, score_conv, stride in zip(self.blocks, self.score_convs, self.strides, strict=True):
            size = tuple(-(-extent // step) for extent, step in zip(size, stride, strict=True))  # rounded up
            channels = 0
            for layer in chain(block.modules(), score_conv.modules()):
                if isinstance(layer, nn.Conv3d):
                    channels += layer.out_channels
            total += prod(size) * channels
        return total


def _as_triple(stride: Sequence[int]) -> tuple[int, int, int]:
    z, y, x = stride
    return int(z), int(y), int(x)


def _pool(features: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
    return features if max(stride) == 1 else functional.max_pool3d(features, stride, ceil_mode=True)


def _upsample(scores: torch.Tensor, stride: tuple[int, ...], size: Sequence[int]) -> torch.Tensor:
    if max(stride) == 1:
        return scores
    z, y, x = stride
    scores = functional.interpolate(
        scores, scale_factor=[float(z), float(y), float(x)], mode="trilinear", align_corners=False
    )
    return scores[:, :, : size[0], : size[1], : size[2]]


def validate_widths(features_per_stage: Sequence[int], n_convs_per_stage: Sequence[int]) -> None:
    """Check the channels and the convolutions of the four blocks.

    Raises:
        ValueError: If one of the two is no list of four numbers of at least 1.
    """
    for name, values in (("features_per_stage", features_per_stage), ("n_convs_per_stage", n_convs_per_stage)):
        if len(values) != NUM_BLOCKS or min(values) < 1:
            raise ValueError(f"{name}: expected {NUM_BLOCKS} numbers of at least 1, got {values}")


def _validate(
    features: Sequence[int], strides: Sequence[Sequence[int]], num_classes: int, constant_background: float | None
) -> None:
    if len(features) != NUM_BLOCKS:
        raise ValueError(f"features_per_stage: expected {NUM_BLOCKS} numbers, got {features}")
    if len(strides) != NUM_BLOCKS or any(len(stride) != 3 or min(stride) < 1 for stride in strides):
        raise ValueError(f"strides: expected {NUM_BLOCKS} triples (Z, Y, X) of at least 1, got {strides}")
    fewest = 1 if constant_background is None else 2
    if num_classes < fewest:
        raise ValueError(f"num_classes: expected at least {fewest}, got {num_classes}")
