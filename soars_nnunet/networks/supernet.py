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

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from soars_nnunet.networks.blocks import same_padding
from soars_nnunet.networks.genotype import KINDS, kernels
from soars_nnunet.networks.phnn import ProgressiveNetwork, validate_widths

PLAIN = tuple(kind for kind in KINDS if len(kernels(kind)) == 1)
"""Kinds of one convolution."""
PSEUDO = tuple(kind for kind in KINDS if len(kernels(kind)) == 2)
"""Kinds of an in-plane convolution and one along Z."""
LARGEST = max(max(kernels(kind)[0]) for kind in KINDS)
"""Width of the largest kernel."""
MOMENTUM = 0.1
"""Share of the batch in the running statistics of the normalisations, torch's default."""


class MixedConv(nn.Module):
    """One unit of a searchable block: BatchNorm -> ReLU -> the mix of the six kinds.

    Training keeps the input, the pseudo-3D intermediates and the output; the backward pass recomputes
    what lies between, which is cheap but makes up most of the memory (``recompute``).

    Args:
        in_channels: C of the input.
        out_channels: O of the output.
        raw_input: True where the input is the image: no BatchNorm and no ReLU before the first convolutions.
    """

    def __init__(self, in_channels: int, out_channels: int, raw_input: bool = False) -> None:
        super().__init__()
        self.recompute = True
        self.channels_last = True  # on a CPU
        # without scale and shift: a candidate could otherwise trade its gamma for a scale
        self.norm = None if raw_input else nn.BatchNorm3d(in_channels, affine=False, momentum=MOMENTUM)
        self.inner_norm = nn.BatchNorm3d(len(PSEUDO) * out_channels, affine=False, momentum=MOMENTUM)
        # by kind and position: "3D5_0" is a plain kernel, "P3D5_1" the one along Z
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
        if self.channels_last and features.device.type == "cpu":
            # the weight gradient of a wide 5x5x5 convolution takes half the time (scripts/benchmarks/supernet.py)
            features = features.contiguous(memory_format=torch.channels_last_3d)
        first, plain, along_z = self._merged_kernels(gamma)
        run: Callable[..., tuple[torch.Tensor, ...]] = self._mix
        if self.recompute and self.training and torch.is_grad_enabled():
            run = partial(checkpoint, self._mix, use_reentrant=False, preserve_rng_state=False, context_fn=_keep_inner)
        output, *moments = run(features, first, plain, along_z)
        if self.training:
            self._track(moments, features.numel() // features.shape[1])
        return output

    def _merged_kernels(self, gamma: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Kernels of the three convolutions that the six candidates come to.

        Returns:
            ``first`` (2 O, C, 1, 5, 5), the in-plane convolutions of the pseudo-3D kinds; ``plain``
            (O, C, 5, 5, 5), the mix of the plain kinds; ``along_z`` (O, 2 O, 5, 1, 1), the mix of the others.
        """
        share = dict(zip(KINDS, gamma, strict=True))
        plain = []
        for kind in PLAIN:
            plain.append(share[kind] * self._padded(kind, position=0, depth=LARGEST))
        first, along_z = [], []
        for kind in PSEUDO:
            first.append(self._padded(kind, position=0))
            along_z.append(share[kind] * self._padded(kind, position=1, depth=LARGEST))
        return torch.cat(first), torch.stack(plain).sum(0), torch.cat(along_z, dim=1)

    def _mix(
        self, features: torch.Tensor, first: torch.Tensor, plain: torch.Tensor, along_z: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """Output (B, O, Z, Y, X), then the batch's mean and inverse deviation of each normalisation."""
        inputs = features
        moments: tuple[torch.Tensor, ...] = ()
        if self.norm is not None:
            inputs, moments = _normalised(features, self.norm)
        inner, inner_moments = _normalised(_same_conv(inputs, first), self.inner_norm)
        # the costly convolution comes last: recomputing stops before it, at its inputs
        output = _same_conv(inner, along_z) + _same_conv(inputs, plain)
        return (output, *moments, *inner_moments)

    @torch.no_grad()
    def _track(self, moments: Sequence[torch.Tensor], count: int) -> None:
        """Update the running statistics, outside of what is recomputed; ``count`` values a channel."""
        norms = [self.inner_norm] if self.norm is None else [self.norm, self.inner_norm]
        for norm, mean, inverse_deviation in zip(norms, moments[::2], moments[1::2], strict=True):
            assert norm.running_mean is not None and norm.running_var is not None
            assert norm.num_batches_tracked is not None
            variance = (inverse_deviation**-2 - norm.eps) * (count / (count - 1))
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), MOMENTUM)
            norm.running_var.lerp_(variance.to(norm.running_var.dtype), MOMENTUM)
            norm.num_batches_tracked.add_(1)

    def _padded(self, kind: str, position: int, depth: int = 1) -> torch.Tensor:
        """Kernel of a candidate, zero-padded to the largest in-plane width and ``depth`` along Z."""
        weight = self.weights[f"{kind}_{position}"]
        in_plane = 1 if position else LARGEST
        kernel_z, kernel_y, kernel_x = weight.shape[2:]
        pad_z = (depth - kernel_z) // 2
        pad_y = (in_plane - kernel_y) // 2
        pad_x = (in_plane - kernel_x) // 2
        return functional.pad(weight, (pad_x, pad_x, pad_y, pad_y, pad_z, pad_z))


class MixedBlock(nn.Module):
    """``num_convs`` mixed units that share one alpha: a block uses a single kind (paper sec. 3.2)."""

    def __init__(self, in_channels: int, out_channels: int, num_convs: int, first_block: bool = False) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(len(KINDS)))
        self.units = nn.ModuleList()
        channels = in_channels
        for i in range(num_convs):
            self.units.append(MixedConv(channels, out_channels, raw_input=first_block and i == 0))
            channels = out_channels

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
        *,
        strides: Sequence[Sequence[int]] = ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
        deep_supervision: bool = True,
        constant_background: float | None = None,
    ) -> None:
        validate_widths(features_per_stage, n_convs_per_stage)
        blocks: list[nn.Module] = []
        in_channels = input_channels
        for width, num_convs in zip(features_per_stage, n_convs_per_stage, strict=True):
            blocks.append(MixedBlock(in_channels, width, num_convs, first_block=not blocks))
            in_channels = width
        super().__init__(
            blocks,
            num_classes,
            features_per_stage,
            strides,
            deep_supervision=deep_supervision,
            constant_background=constant_background,
        )

    def gammas(self) -> torch.Tensor:
        """(4, 6), the share of each kind in each block; detached, on the CPU."""
        return torch.stack([block.gamma() for block in self._mixed_blocks()]).detach().cpu()

    def genotype(self) -> list[str]:
        """Kind with the largest alpha of each block (paper sec. 3.2); the first of exact ties."""
        return [KINDS[int(block.alpha.argmax())] for block in self._mixed_blocks()]

    def architecture_parameters(self) -> list[nn.Parameter]:
        """The four alphas."""
        return [block.alpha for block in self._mixed_blocks()]

    def weight_parameters(self) -> Iterator[nn.Parameter]:
        """Everything but the alphas."""
        alphas = {id(alpha) for alpha in self.architecture_parameters()}
        for parameter in self.parameters():
            if id(parameter) not in alphas:
                yield parameter

    def _mixed_blocks(self) -> Iterator[MixedBlock]:
        for block in self.blocks:
            assert isinstance(block, MixedBlock)
            yield block


def _keep_inner() -> tuple[Any, Any]:
    """Contexts of a checkpoint that keeps the pseudo-3D intermediates and recomputes everything else."""

    def policy(context: Any, operation: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
        # of a unit's three kernels only that of the in-plane convolutions is flat
        is_inner = operation is torch.ops.aten.convolution.default and args[1].shape[2] == 1
        return CheckpointPolicy.MUST_SAVE if is_inner else CheckpointPolicy.PREFER_RECOMPUTE

    return create_selective_checkpoint_contexts(policy)


def _normalised(features: torch.Tensor, norm: nn.BatchNorm3d) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """BatchNorm -> ReLU without touching the running statistics; and the batch's mean and inverse deviation."""
    running_mean = None if norm.training else norm.running_mean
    running_var = None if norm.training else norm.running_var
    output, mean, inverse_deviation = torch.native_batch_norm(
        features, None, None, running_mean, running_var, norm.training, MOMENTUM, norm.eps
    )
    # a compiled checkpoint may keep the output of any operation, so nothing must change it later
    return functional.relu(output, inplace=not torch.compiler.is_compiling()), (mean, inverse_deviation)


def _same_conv(features: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    return functional.conv3d(features, kernel, padding=same_padding(kernel.shape[2:]))
