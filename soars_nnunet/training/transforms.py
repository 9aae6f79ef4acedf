"""Patch transforms: nnU-Net's spatial transform with the regime's numbers; nothing touches intensities.

Axes: images (C, Z, Y, X), segmentations (1, Z, Y, X); coordinates travel as the last four image
channels: z, y, x in mm and a channel of ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform

NUM_COORDINATE_CHANNELS = 4


class SplitCoordinates(BasicTransform):
    """Move the last four image channels to ``regression_target``, which only spatial transforms touch."""

    def apply(self, data_dict: dict[str, Any], **params: Any) -> dict[str, Any]:
        """Split (C + 4, Z, Y, X) into image (C, ...) and regression target (4, ...)."""
        image = data_dict["image"]
        data_dict["image"] = image[:-NUM_COORDINATE_CHANNELS]
        data_dict["regression_target"] = image[-NUM_COORDINATE_CHANNELS:]
        return data_dict


class AppendCoordinates(BasicTransform):
    """Append the augmented coordinates to the image again, so that nnU-Net's batch carries them."""

    def apply(self, data_dict: dict[str, Any], **params: Any) -> dict[str, Any]:
        """Join image (C, ...) and regression target (4, ...) into (C + 4, Z, Y, X)."""
        data_dict["image"] = torch.cat((data_dict["image"], data_dict.pop("regression_target")))
        return data_dict


def patch_transforms(
    patch_size: tuple[int, ...],
    deep_supervision_scales: list | None,
    settings: dict[str, Any] | None,
    carry_coordinates: bool = False,
) -> ComposeTransforms:
    """Transforms from the dataloader's crop to a training or validation patch.

    Args:
        patch_size: Final (Z, Y, X) patch.
        deep_supervision_scales: One scale a supervised output, or None.
        settings: Regime values ``p_scaling``, ``scaling``, ``p_rotation``, ``rotation_deg`` for
            training; None for validation (no augmentation).
        carry_coordinates: The last four image channels are coordinates.
    """
    transforms: list[BasicTransform] = [SplitCoordinates()] if carry_coordinates else []
    if settings is not None:
        transforms.append(
            SpatialTransform(
                patch_size,
                patch_center_dist_from_border=0,
                random_crop=False,
                p_rotation=settings["p_rotation"],
                rotation=rotation_range(settings),
                p_scaling=settings["p_scaling"],
                scaling=tuple(settings["scaling"]),
                p_synchronize_scaling_across_axes=1,
                border_mode_seg="constant",
                padding_value_seg=-1,
            )
        )
    transforms.append(RemoveLabelTansform(-1, 0))
    if carry_coordinates:
        transforms.append(AppendCoordinates())
    if deep_supervision_scales is not None:
        transforms.append(DownsampleSegForDSTransform(ds_scales=deep_supervision_scales))
    return ComposeTransforms(transforms)


def rotation_range(settings: dict[str, Any]) -> tuple[float, float]:
    """Rotation angles about each axis, radians."""
    angle = settings["rotation_deg"] / 180 * np.pi
    return (-angle, angle)
