"""VOI crops of small & hard organs in the frame of their case's network grid, and windows of them to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from soars_nnunet.geometry.grid import Box, Grid
from soars_nnunet.geometry.voi import crop_box


class CropGeometry:
    """A preprocessed VOI crop in the frame of its case's network grid.

    Args:
        crop: nnU-Net's properties of the crop.
        shape: (z, y, x) of the preprocessed crop.
        case: nnU-Net's properties of the case.
        grid: Where the case's network grid lies.

    Attributes:
        start: (3,), network voxel (Z, Y, X) of the crop's voxel 0.
        step: (3,), network voxels per crop voxel.
        shape: (z, y, x) of the crop.
    """

    def __init__(self, crop: dict[str, Any], shape: Sequence[int], case: dict[str, Any], grid: Grid) -> None:
        own = Grid.from_properties(crop, shape)
        of_case, of_crop = case["sitk_stuff"], crop["sitk_stuff"]
        moved_mm = np.subtract(of_crop["origin"], of_case["origin"]) @ np.reshape(of_case["direction"], (3, 3))
        offset = (moved_mm / np.asarray(of_case["spacing"]))[::-1]
        first = grid.to_network(own.to_image(np.zeros(3)) + offset)
        second = grid.to_network(own.to_image(np.ones(3)) + offset)
        self.start = first
        self.step = second - first
        self.shape = tuple(shape)

    @property
    def center(self) -> np.ndarray:
        """(3,), network voxel of the crop's middle."""
        return self.start + self.step * (np.array(self.shape) - 1) / 2

    def points(self, window: Box, origin: np.ndarray) -> np.ndarray:
        """(3, widest axis) patch voxels of a window's voxels along each axis; NaN beyond its end.

        Args:
            window: Of the crop, (lo, hi) by axis.
            origin: (3,), network voxel of the patch's voxel 0.
        """
        widest = max(hi - lo for lo, hi in window)
        points = np.full((3, widest), np.nan, np.float32)
        for axis, (lo, hi) in enumerate(window):
            voxels = lo + np.arange(hi - lo)
            points[axis, : hi - lo] = self.start[axis] + self.step[axis] * voxels - origin[axis]
        return points


@dataclass(frozen=True)
class CropInPatch:
    """A crop whose middle lies in a patch of a batch.

    Attributes:
        row: Of the patch in the batch.
        crop: Case name of the crop.
        geometry: Where the crop lies.
        origin: (3,), network voxel (Z, Y, X) of the patch's voxel 0.
    """

    row: int
    crop: str
    geometry: CropGeometry
    origin: np.ndarray

    def is_within(self, patch: np.ndarray) -> bool:
        """Whether the crop's middle lies in a patch of a size (Z, Y, X)."""
        middle = self.geometry.center - self.origin
        return bool(((middle >= 0) & (middle <= patch - 1)).all())


def random_window(shape: Sequence[int], size: Sequence[int]) -> Box:
    """A window of a size (Z, Y, X) anywhere in a crop of a shape; centred along axes on which the crop is smaller."""
    window = []
    for have, want in zip(shape, size, strict=True):
        spare = have - want
        low = int(np.random.randint(0, spare + 1)) if spare > 0 else spare // 2
        window.append((low, low + want))
    z, y, x = window
    return z, y, x


def cut_window(data: np.ndarray, segmentation: np.ndarray, window: Box) -> tuple[torch.Tensor, torch.Tensor]:
    """CT (1, z, y, x) and labels (1, z, y, x) of a window, 0 outside of the crop.

    Args:
        data: (C, Z, Y, X) of the preprocessed crop, CT first.
        segmentation: (1, Z, Y, X), -1 where nnU-Net marks the border.
        window: Of the crop, (lo, hi) by axis.
    """
    ct = crop_box(data[:1], window, 0)
    labels = crop_box(segmentation[:1], window, 0)
    return torch.from_numpy(ct), torch.from_numpy(labels.clip(0).astype(np.int64))
