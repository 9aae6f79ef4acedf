"""First weights of a P-HNN out of those of another one of the same genotype and widths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

FIRST_CONVOLUTION = "blocks.0.0.weight"
"""(features, C, Z, Y, X): the only weights that know the input's channels."""

SCORES = "score_convs."
"""Weights (K, features, 1, 1, 1) and biases (K,) of the score convolutions: the only ones that know the classes."""


@dataclass(frozen=True)
class Layout:
    """What the channels of a network's input and output mean.

    Attributes:
        inputs: CT first, then what each guidance channel shows.
        outputs: Of the score convolutions: background first, unless it is constant, then the classes in label order.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def transfer_weights(
    new: Mapping[str, torch.Tensor], old: Mapping[str, torch.Tensor], layout: Layout, old_layout: Layout
) -> dict[str, torch.Tensor]:
    """Weights of a new network in which all that the old one knows is the old one's.

    Inputs and outputs go by name, so that left and right keep their sides whatever their order. What only the new
    network has stays as it is there, what only the old one has is left out.

    Args:
        new: Initial weights of the new network, by name.
        old: Trained weights.
        layout: Of the new network.
        old_layout: Of the old one.

    Returns:
        Copies, by the new network's names.

    Raises:
        ValueError: If the two networks differ in more than their inputs and outputs.
    """
    _require_alike(new, old)
    found = {}
    for name, fresh in new.items():
        weights = fresh.clone()
        if name == FIRST_CONVOLUTION:
            _copy(weights.transpose(0, 1), old[name].transpose(0, 1), layout.inputs, old_layout.inputs)
        elif name.startswith(SCORES):
            _copy(weights, old[name], layout.outputs, old_layout.outputs)
        else:
            weights.copy_(old[name])
        found[name] = weights
    return found


def _copy(weights: torch.Tensor, old: torch.Tensor, names: Sequence[str], old_names: Sequence[str]) -> None:
    """Overwrite the rows whose names the old network has, too."""
    if (len(weights), len(old)) != (len(names), len(old_names)):
        raise ValueError(f"expected {len(names)} and {len(old_names)} channels, got {len(weights)} and {len(old)}")
    for row, name in enumerate(names):
        if name in old_names:
            weights[row] = old[old_names.index(name)]


def _require_alike(new: Mapping[str, torch.Tensor], old: Mapping[str, torch.Tensor]) -> None:
    differing = sorted(set(new) ^ set(old))
    for name in sorted(set(new) & set(old)):
        if _fixed_shape(name, new[name]) != _fixed_shape(name, old[name]):
            differing.append(name)
    if differing:
        raise ValueError(f"expected networks of one architecture, got others in {', '.join(differing)}")


def _fixed_shape(name: str, weights: torch.Tensor) -> list[int]:
    """Shape without the axis of inputs or classes."""
    shape = list(weights.shape)
    if name == FIRST_CONVOLUTION:
        del shape[1]
    elif name.startswith(SCORES):
        del shape[0]
    return shape
