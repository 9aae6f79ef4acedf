"""What the networks found in one CT."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import SimpleITK as sitk
import torch

from soars_nnunet.geometry.grid import Box, Grid, Shape


@dataclass
class Voi:
    """One segmented VOI: its target, where it lies and its softmax (1 + organs, z, y, x) on its own grid."""

    target: str
    box: Box
    probabilities: torch.Tensor
    grid: Grid


@dataclass
class Inference:
    """Everything the networks said about one CT, at network resolution.

    Attributes:
        name: Case name.
        image: The CT, which labels go back onto.
        shape: Its voxels (Z, Y, X) in the networks' frame.
        properties: Of that frame.
        tiers: Softmax (1 + organs, z, y, x) and grid of the anchor and mid-level branches.
        heatmaps: (targets, z, y, x) in 0..1 and their grid, or None without a small & hard tier.
        peaks: By target: height, position in image voxels (Z, Y, X), status.
        vois: Segmented VOIs of the targets that were found.
        seconds: Wall time by stage.
    """

    name: str
    image: sitk.Image
    shape: Shape
    properties: dict[str, Any]
    tiers: dict[str, tuple[torch.Tensor, Grid]] = field(default_factory=dict)
    heatmaps: tuple[torch.Tensor, Grid] | None = None
    peaks: dict[str, dict[str, Any]] = field(default_factory=dict)
    vois: list[Voi] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def to_cpu(self) -> None:
        """Bring everything that is stitched to the CPU."""
        self.tiers = {key: (probabilities.cpu(), grid) for key, (probabilities, grid) in self.tiers.items()}
        for voi in self.vois:
            voi.probabilities = voi.probabilities.cpu()
