"""Channels and where they lie."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from soars_nnunet.geometry.grid import Grid


@dataclass(frozen=True)
class OnGrid:
    """Channels on a network's grid.

    Attributes:
        values: (C, z, y, x) float32: a softmax with the background first, or heat maps in 0..1.
        grid: Where they lie on the image's grid.
    """

    values: torch.Tensor
    grid: Grid

    def to_cpu(self) -> OnGrid:
        """The same on the CPU."""
        return OnGrid(self.values.cpu(), self.grid)
