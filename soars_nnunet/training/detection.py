"""Trainer of the detection branch: heat-map regression of small & hard organ centres (paper eq. 4).

The network gets coordinates in mm as four further channels of each patch; augmentation moves
them along, and the Gaussian targets are computed from them on the device. So targets follow any
spatial transform, whatever their number, and centres outside the patch still shape it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset

from soars_nnunet.geometry.heatmaps import gaussian_heatmaps
from soars_nnunet.geometry.organ_centers import organ_centers_mm
from soars_nnunet.networks.genotype import NUM_BLOCKS
from soars_nnunet.training.base import SOARSTrainer
from soars_nnunet.training.losses import HeatmapL2Loss
from soars_nnunet.training.not_annotated import ByCase
from soars_nnunet.training.transforms import NUM_COORDINATE_CHANNELS


class WithCoordinates:
    """A (C, Z, Y, X) array, read lazily, that grows four channels where it is sliced: z, y, x in mm and ones."""

    def __init__(self, data: Any, spacing_mm: np.ndarray) -> None:
        self.data = data
        self.spacing_mm = spacing_mm
        self.shape = (data.shape[0] + NUM_COORDINATE_CHANNELS,) + tuple(data.shape[1:])
        self.dtype = data.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        """Slice with ``[:]`` or four slices, of which the first (channels) must be full."""
        given = index if isinstance(index, tuple) else (index,)
        slices = given + (slice(None),) * (4 - len(given))
        axes = []
        for part, size, mm in zip(slices[1:], self.shape[1:], self.spacing_mm, strict=True):
            start, stop, step = part.indices(size)
            axes.append(np.arange(start, stop, step, dtype=np.float32) * np.float32(mm))
        z, y, x = np.meshgrid(axes[0], axes[1], axes[2], indexing="ij")
        return np.concatenate((self.data[slices], np.stack([z, y, x, np.ones_like(z)])))


class CoordinateDataset:
    """View of an nnU-Net dataset whose images carry their coordinates."""

    def __init__(self, dataset: nnUNetBaseDataset, spacing_mm: np.ndarray) -> None:
        self.dataset = dataset
        self.identifiers = dataset.identifiers
        self.spacing_mm = spacing_mm

    def load_case(self, identifier: str) -> tuple:
        """As nnU-Net's ``load_case``, with four more image channels."""
        data, segmentation, earlier_stage, properties = self.dataset.load_case(identifier)
        return WithCoordinates(data, self.spacing_mm), segmentation, earlier_stage, properties


class HeatmapChannelsLoss(HeatmapL2Loss):
    """Heat-map loss on channels 1 and up; channel 0 is the network's constant background."""

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of output (B, 1 + T, Z, Y, X) against heat maps (B, T, Z, Y, X)."""
        return super().forward(output[:, 1:], target)


@dataclass(frozen=True)
class LocatedPatch:
    """A batch of patches and where their voxels lie.

    Attributes:
        images: (B, C, Z, Y, X) without coordinates.
        positions_mm: (B, 3, Z, Y, X), mm of the network grid.
        inside: (B, 1, Z, Y, X) bool, whether a voxel lies in the scan.
    """

    images: torch.Tensor
    positions_mm: torch.Tensor
    inside: torch.Tensor


def split_coordinates(data: torch.Tensor) -> LocatedPatch:
    """Tell images and coordinates of a batch (B, C + 4, Z, Y, X) apart."""
    sizes = [data.shape[1] - NUM_COORDINATE_CHANNELS, 3, 1]
    images, coordinates, ones = data.split(sizes, dim=1)
    # interpolated near the border, coordinates fade with the ones
    return LocatedPatch(images, coordinates / ones.clamp(min=1e-3), ones > 0.5)


def _is_mirrored(positions_mm: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """(B,) whether positions (B, 3, Z, Y, X) decrease along X between neighbours that both are in the image."""
    both = inside[:, 0, ..., 1:] & inside[:, 0, ..., :-1]
    return (positions_mm[:, 2].diff(dim=-1) * both).sum((1, 2, 3)) < 0


class SOARSDetectionTrainer(SOARSTrainer):
    """Heat maps of the small & hard targets from CT and anchor probabilities."""

    branch = "detection"
    carries_coordinates = True

    @cached_property
    def centers_mm(self) -> dict[str, np.ndarray]:
        """Target centres (T, 3) of every case that was loaded, mm of the network grid."""
        return ByCase()

    def _branch_loss(self) -> HeatmapChannelsLoss:
        return HeatmapChannelsLoss(self.settings.heatmap_foreground_weight)

    def get_tr_and_val_datasets(self) -> tuple[CoordinateDataset, CoordinateDataset]:
        """nnU-Net's datasets with coordinates; also reads every case's target centres."""
        spacing_mm = np.asarray(self.configuration_manager.spacing)
        training, validation = super().get_tr_and_val_datasets()
        datasets = CoordinateDataset(training, spacing_mm), CoordinateDataset(validation, spacing_mm)
        for dataset in datasets:
            self._read_centers(dataset, spacing_mm)
        return datasets

    def _read_centers(self, dataset: CoordinateDataset, spacing_mm: np.ndarray) -> None:
        targets = [(label,) for label in self.label_manager.foreground_labels]
        for case in set(dataset.identifiers) - set(self.centers_mm):
            segmentation = dataset.load_case(case)[1][0]
            self.centers_mm[case] = organ_centers_mm(np.asarray(segmentation), targets, spacing_mm.tolist())

    def _with_targets(self, batch: dict) -> dict:
        patch = split_coordinates(batch["data"].to(self.device, non_blocking=True))
        centers = torch.from_numpy(np.stack([self.centers_mm[str(case)] for case in batch["keys"]]))
        centers = centers.to(patch.positions_mm.device, torch.float32)
        heatmaps = gaussian_heatmaps(patch.positions_mm, centers, self.settings.sigma_mm) * patch.inside
        if self.settings.p_mirror:
            mirrored = _is_mirrored(patch.positions_mm, patch.inside)
            heatmaps[mirrored] = heatmaps[mirrored][:, self._partners()]
        return {**batch, "data": patch.images.contiguous(), "target": [heatmaps] * NUM_BLOCKS}

    def _partners(self) -> torch.Tensor:
        """(T,) row of each target's partner; classes come with the background in front.

        No property: nnU-Net reads every one of a trainer when a training starts, and this fails where a dataset has
        one side alone.
        """
        partners = [index - 1 for index in self.settings.mirror.known_classes[1:]]
        return torch.tensor(partners, device=self.device)

    def train_step(self, batch: dict) -> dict:
        """nnU-Net's step on heat-map targets computed from the augmented coordinates."""
        return super().train_step(self._with_targets(batch))

    def validation_step(self, batch: dict) -> dict:
        """Loss, and overlap of predicted with true balls (heat map above one half) in place of a Dice per class."""
        batch = self._with_targets(batch)
        self.mark_not_annotated(batch, self.not_annotated)
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            output = self.network(batch["data"])
            loss = self.loss(output, batch["target"])
        found = output[0][:, 1:] > 0.5
        truth = batch["target"][0] > 0.5
        if self.criterion.not_annotated is not None:
            known = ~self.criterion.not_annotated[:, 1:, None, None, None]
            found = found & known
            truth = truth & known
        return {
            "loss": loss.detach().cpu().numpy(),
            "tp_hard": _by_target(found & truth),
            "fp_hard": _by_target(found & ~truth),
            "fn_hard": _by_target(~found & truth),
        }


def _by_target(mask: torch.Tensor) -> np.ndarray:
    """(T,) voxels of a mask (B, T, Z, Y, X)."""
    return mask.sum((0, 2, 3, 4)).cpu().numpy()
