"""What the networks found in one CT."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import SimpleITK as sitk

from soars_nnunet.geometry.grid import Box, Shape
from soars_nnunet.prediction.on_grid import OnGrid
from soars_nnunet.prediction.peaks import Peak


@dataclass(frozen=True)
class Voi:
    """A segmented VOI.

    Attributes:
        target: Detection target at its centre.
        box: Where it lies, in image voxels.
        softmax: (1 + organs, z, y, x) on a grid of its own.
    """

    target: str
    box: Box
    softmax: OnGrid


@dataclass
class Inference:
    """Everything the networks said about one CT, at network resolution.

    Attributes:
        name: Case name.
        image: The CT, which labels go back onto.
        shape: Its voxels (Z, Y, X) in the networks' frame.
        properties: Of that frame.
        tiers: Softmax (1 + organs, z, y, x) of the anchor and mid-level branches.
        heatmaps: (targets, z, y, x) in 0..1, or None without a small & hard tier.
        peaks: By target; empty without heat maps.
        vois: Segmented VOIs of the targets that were found.
        seconds: Wall time by stage.
        doubts: What is doubtful of the CT itself.
    """

    name: str
    image: sitk.Image
    shape: Shape
    properties: dict[str, Any]
    tiers: dict[str, OnGrid] = field(default_factory=dict)
    heatmaps: OnGrid | None = None
    peaks: dict[str, Peak] = field(default_factory=dict)
    vois: list[Voi] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()

    def to_cpu(self) -> None:
        """Bring everything that is stitched to the CPU."""
        for key, softmax in self.tiers.items():
            self.tiers[key] = softmax.to_cpu()
        for index, voi in enumerate(self.vois):
            self.vois[index] = replace(voi, softmax=voi.softmax.to_cpu())
