"""All branches in one graph, for end-to-end fine-tuning (paper sec. 4.2, step 3).

Tensors are (B, C, Z, Y, X). Anchor probabilities feed mid-level and detection; the heat maps feed
small & hard inside VOIs, whose CT crops come from outside at their own resolution. Left and right heat maps are not
told apart as in prediction (``geometry.sides``): a patch seldom holds both peaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from soars_nnunet.networks.phnn import PHNN


@dataclass
class Vois:
    """VOIs that lie in the patches of a batch.

    Attributes:
        ct: (V, 1, z, y, x), preprocessed CT crops.
        rows: Patch of the batch that each VOI lies in, V of them.
        points: (V, 3, max(z, y, x)), by axis (Z, Y, X), the crop's voxels in voxels of the patch; padded with NaN.
    """

    ct: torch.Tensor
    rows: Sequence[int]
    points: torch.Tensor


def sample_heatmaps(heatmaps: torch.Tensor, vois: Vois) -> torch.Tensor:
    """Heat maps at the voxels of VOIs, linearly interpolated and differentiable.

    Args:
        heatmaps: (B, T, Z, Y, X).
        vois: V VOIs.

    Returns:
        (V, T, z, y, x); 0 outside the patch.
    """
    sampled = []
    for row, points in zip(vois.rows, vois.points, strict=True):
        axes = []
        for axis_points, count, size in zip(points, vois.ct.shape[2:], heatmaps.shape[2:], strict=True):
            axes.append(2 * axis_points[:count] / max(size - 1, 1) - 1)  # -1 and 1: centres of the outermost voxels
        z, y, x = torch.meshgrid(axes, indexing="ij")
        grid = torch.stack((x, y, z), dim=-1).to(heatmaps)
        sampled.append(functional.grid_sample(heatmaps[row : row + 1], grid[None], align_corners=True))
    return torch.cat(sampled)


class CascadeNetwork(nn.Module):
    """The branches' P-HNNs, each fed by the live output of the one that guides it.

    Args:
        branches: P-HNN arguments by branch.
        guided: Branches that see guidance beside the CT.
        trained: Branches whose weights move; the others stay as they are, their BatchNorm too, and no
            gradient reaches them.
    """

    def __init__(
        self, branches: Mapping[str, Mapping[str, Any]], guided: Sequence[str], trained: Sequence[str]
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleDict()
        for key, arguments in branches.items():
            self.branches[key] = PHNN(**arguments)
        self.guided = tuple(guided)
        self.trained = tuple(trained)
        self.vois: Vois | None = None
        """VOIs of the next batch."""
        for key, network in self.branches.items():
            network.requires_grad_(key in self.trained)

    def train(self, mode: bool = True) -> CascadeNetwork:
        """As ``nn.Module.train``; branches that do not move stay in evaluation mode."""
        super().train(mode)
        for key, network in self.branches.items():
            network.train(mode and key in self.trained)
        return self

    def forward(self, image: torch.Tensor) -> dict[str, list[torch.Tensor]]:
        """Run the branches on CT patches.

        Args:
            image: (B, 1, Z, Y, X), preprocessed CT.

        Returns:
            The four sums of every branch, deepest first; small & hard's are (V, K, z, y, x), and missing
            where the batch has no VOI.
        """
        outputs = {"anchor": self.branches["anchor"](image)}
        anchors = outputs["anchor"][0].softmax(1)[:, 1:]
        with_anchors = torch.cat((image, anchors.to(image)), dim=1)
        for key in ("mid_level", "detection"):
            if key in self.branches:
                outputs[key] = self.branches[key](with_anchors if key in self.guided else image)
        if "small_hard" in self.branches and self.vois is not None:
            channels = self.vois.ct
            if "small_hard" in self.guided:
                heatmaps = outputs["detection"][0][:, 1:].clamp(0, 1)
                sampled = sample_heatmaps(heatmaps, self.vois)
                channels = torch.cat((channels, sampled.to(channels)), dim=1)
            outputs["small_hard"] = self.branches["small_hard"](channels)
        return outputs
