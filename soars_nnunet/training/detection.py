"""Trainer of the detection branch: heat-map regression of small & hard organ centres (paper eq. 4).

The network gets coordinates in mm as four further channels of each patch; augmentation moves
them along, and the Gaussian targets are computed from them on the device. So targets follow any
spatial transform, whatever their number, and centres outside the patch still shape it.
"""

from __future__ import annotations

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
        self.shape = (data.shape[0] + NUM_COORDINATE_CHANNELS, *data.shape[1:])
        self.dtype = data.dtype

    def __getitem__(self, index: Any) -> np.ndarray:
        """Slice with ``[:]`` or four slices, of which the first (channels) must be full."""
        index = index if isinstance(index, tuple) else (index,)
        slices = (*index, *(slice(None),) * (4 - len(index)))
        axes = [
            np.arange(*s.indices(n), dtype=np.float32) * np.float32(mm)
            for s, n, mm in zip(slices[1:], self.shape[1:], self.spacing_mm, strict=True)
        ]
        coordinates = np.meshgrid(*axes, indexing="ij")
        return np.concatenate((self.data[slices], np.stack([*coordinates, np.ones_like(coordinates[0])])))


class CoordinateDataset:
    """View of an nnU-Net dataset whose images carry their coordinates."""

    def __init__(self, dataset: nnUNetBaseDataset, spacing_mm: np.ndarray) -> None:
        self.dataset = dataset
        self.identifiers = dataset.identifiers
        self.spacing_mm = spacing_mm

    def load_case(self, identifier: str) -> tuple:
        """As nnU-Net's ``load_case``, with four more image channels."""
        data, *rest = self.dataset.load_case(identifier)
        return WithCoordinates(data, self.spacing_mm), *rest


class HeatmapChannelsLoss(HeatmapL2Loss):
    """Heat-map loss on channels 1 and up; channel 0 is the network's constant background."""

    def forward(self, output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Loss of output (B, 1 + T, Z, Y, X) against heat maps (B, T, Z, Y, X)."""
        return super().forward(output[:, 1:], target)


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
        datasets = [CoordinateDataset(dataset, spacing_mm) for dataset in super().get_tr_and_val_datasets()]
        targets = [(label,) for label in self.label_manager.foreground_labels]
        for dataset in datasets:
            for case in set(dataset.identifiers) - set(self.centers_mm):
                segmentation = dataset.load_case(case)[1][0]
                self.centers_mm[case] = organ_centers_mm(np.asarray(segmentation), targets, spacing_mm)
        return datasets[0], datasets[1]

    def _with_targets(self, batch: dict) -> dict:
        data = batch["data"].to(self.device, non_blocking=True)
        images, coordinates, ones = data.split([data.shape[1] - NUM_COORDINATE_CHANNELS, 3, 1], dim=1)
        centers = torch.from_numpy(np.stack([self.centers_mm[str(case)] for case in batch["keys"]]))
        positions_mm, inside = coordinates / ones.clamp(min=1e-3), ones > 0.5
        centers = centers.to(data.device, torch.float32)
        heatmaps = gaussian_heatmaps(positions_mm, centers, self.settings.sigma_mm) * inside
        if self.settings.p_mirror:
            mirrored = _is_mirrored(positions_mm, inside)
            order = torch.tensor([index - 1 for index in self.settings.mirror.classes[1:]], device=data.device)
            heatmaps[mirrored] = heatmaps[mirrored][:, order]
        return {**batch, "data": images.contiguous(), "target": [heatmaps] * NUM_BLOCKS}

    def train_step(self, batch: dict) -> dict:
        """nnU-Net's step on heat-map targets computed from the augmented coordinates."""
        return super().train_step(self._with_targets(batch))

    def validation_step(self, batch: dict) -> dict:
        """Loss, and overlap of predicted with true balls (heat map above one half) in place of a Dice per class."""
        batch = self._with_targets(batch)
        self.mark_undrawn(batch, self.undrawn)
        with torch.autocast(self.device.type, enabled=self.device.type == "cuda"):
            output = self.network(batch["data"])
            loss = self.loss(output, batch["target"])
        found, truth = output[0][:, 1:] > 0.5, batch["target"][0] > 0.5
        axes = (0, 2, 3, 4)
        if self.criterion.undrawn is not None:
            known = ~self.criterion.undrawn[:, 1:, None, None, None]
            found, truth = found & known, truth & known
        counts = {"tp_hard": found & truth, "fp_hard": found & ~truth, "fn_hard": ~found & truth}
        return {
            "loss": loss.detach().cpu().numpy(),
            **{key: mask.sum(axes).cpu().numpy() for key, mask in counts.items()},
        }
