"""Patch transforms: nnU-Net's own with the regime's numbers, kept to the channels they are meant for.

Intensities change in the CT alone; guidance channels are corrupted in ways of their own; a mirrored
patch swaps left and right in labels and channels too.

Axes: images (C, Z, Y, X), segmentations (1, Z, Y, X); coordinates travel as the last four image
channels: z, y, x in mm and a channel of ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from batchgeneratorsv2.transforms.base.basic_transform import BasicTransform, ImageOnlyTransform
from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.noise.sharpen import SharpeningTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import DownsampleSegForDSTransform
from batchgeneratorsv2.transforms.utils.random import OneOfTransform, RandomTransform
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTansform
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from soars_nnunet.settings.branch_settings import BranchSettings

NUM_COORDINATE_CHANNELS = 4
NOISE_HU = (10.0, 40.0)
"""Deviation of a CT's noise, from a thick slice and a smooth kernel to a thin one and a sharp kernel; ours."""
BLUR_VOXELS = (0.5, 1.0)
"""Deviation of a blur: that of nnU-Net's own."""
SHARPENING = (0.05, 0.2)
"""Share of the Laplacian that a sharpening takes off; the largest is the library's own."""


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


class OnChannels(BasicTransform):
    """Apply an image transform to some channels alone.

    Args:
        transform: Of the image (C, Z, Y, X).
        channels: Which of the channels it sees.
        standardise: Give it zero mean and unit deviation, the range nnU-Net's intensity transforms
            are made for, and scale back; a constant patch is only shifted.
    """

    def __init__(self, transform: BasicTransform, channels: slice, standardise: bool = False) -> None:
        super().__init__()
        self.transform = transform
        self.channels = channels
        self.standardise = standardise

    def apply(self, data_dict: dict[str, Any], **params: Any) -> dict[str, Any]:
        """Change the chosen channels of the image."""
        image = data_dict["image"]
        part = image[self.channels].clone()
        if not len(part):
            return data_dict
        mean: torch.Tensor | float = 0.0
        deviation: torch.Tensor | float = 1.0
        if self.standardise:
            mean, deviation = part.mean(), part.std().clamp(min=1e-4)
        image = image.clone()
        changed = self.transform(image=(part - mean) / deviation)["image"]
        image[self.channels] = changed * deviation + mean
        data_dict["image"] = image
        return data_dict


class AboveFloor(BasicTransform):
    """Apply an image transform where the image is above its least value.

    Air lies below the window of the CT and stays at its floor in every scan, however noisy.

    Args:
        transform: Of the image (C, Z, Y, X).
    """

    def __init__(self, transform: BasicTransform) -> None:
        super().__init__()
        self.transform = transform

    def apply(self, data_dict: dict[str, Any], **params: Any) -> dict[str, Any]:
        """Change the image, but for its floor; a constant patch stays."""
        image = data_dict["image"]
        floor = image.amin()
        changed = self.transform(image=image.clone())["image"].clamp(min=floor)
        data_dict["image"] = torch.where(image > floor, changed, image)
        return data_dict


class ShiftChannels(ImageOnlyTransform):
    """Shift each channel by up to ``max_voxels`` along each axis; what comes in from outside is 0."""

    def __init__(self, max_voxels: int) -> None:
        super().__init__()
        self.max_voxels = max_voxels

    def get_parameters(self, **data_dict: Any) -> dict[str, Any]:
        """Offsets (C, 3)."""
        return {"offsets": torch.randint(-self.max_voxels, self.max_voxels + 1, (len(data_dict["image"]), 3))}

    def _apply_to_image(self, img: torch.Tensor, **params: Any) -> torch.Tensor:
        shifted = torch.zeros_like(img)
        for channel, offsets in enumerate(params["offsets"].tolist()):
            to, of = _overlap(offsets, img.shape[1:])
            shifted[channel][to] = img[channel][of]
        return shifted


def _overlap(offsets: Sequence[int], shape: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where a volume that is moved by offsets lies in its own grid, and which of its voxels lie there."""
    to, of = [], []
    for offset, size in zip(offsets, shape, strict=True):
        moved = max(-size, min(size, offset))
        to.append(slice(max(moved, 0), size + min(moved, 0)))
        of.append(slice(max(-moved, 0), size + min(-moved, 0)))
    return tuple(to), tuple(of)


class DropChannel(ImageOnlyTransform):
    """Set one channel, drawn at random, to 0: an organ that the guiding network missed."""

    def get_parameters(self, **data_dict: Any) -> dict[str, Any]:
        """The channel."""
        return {"channel": int(torch.randint(len(data_dict["image"]), ()))}

    def _apply_to_image(self, img: torch.Tensor, **params: Any) -> torch.Tensor:
        img = img.clone()
        img[params["channel"]] = 0
        return img


class BlankChannels(ImageOnlyTransform):
    """Set every channel to 0."""

    def _apply_to_image(self, img: torch.Tensor, **params: Any) -> torch.Tensor:
        return torch.zeros_like(img)


class MirrorSides(BasicTransform):
    """Mirror X, and swap left and right labels and channels with it.

    Args:
        classes: Label that each label becomes (an involution, 0 first).
        channels: Image channel that each channel is taken from.
    """

    def __init__(self, classes: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        # the label above the classes is nnU-Net's ignore label, where there is one
        self.classes = torch.tensor([*classes, len(classes)])
        self.channels = list(channels)

    def apply(self, data_dict: dict[str, Any], **params: Any) -> dict[str, Any]:
        """Mirror image, segmentation and coordinates; these then decrease along X, which tells that it was done."""
        data_dict["image"] = data_dict["image"].flip(-1)[self.channels]
        if data_dict.get("regression_target") is not None:
            data_dict["regression_target"] = data_dict["regression_target"].flip(-1)
        if data_dict.get("segmentation") is not None:
            labels = data_dict["segmentation"].flip(-1)
            data_dict["segmentation"] = self.classes[labels.long()].to(labels.dtype)
        return data_dict


def intensity_transforms() -> ComposeTransforms:
    """nnU-Net's own intensity augmentation: noise, blur, brightness, contrast, low resolution, gamma."""
    everything = nnUNetTrainer.get_training_transforms((1, 1, 1), (0.0, 0.0), None, (), False).transforms
    of_intensities = [transform for transform in everything if isinstance(transform, RandomTransform)]
    return ComposeTransforms(of_intensities)


def noise_and_sharpness(probability: float, hu_per_unit: float) -> ComposeTransforms:
    """What scanners, kernels and slice thicknesses change in a CT, whose HU mean the same in all of them.

    Args:
        probability: Of noise in a patch, and of a blur or a sharpening before it.
        hu_per_unit: HU that make one unit of the image.
    """
    blur = GaussianBlurTransform(BLUR_VOXELS, synchronize_axes=False)
    sharpness = OneOfTransform([blur, SharpeningTransform(SHARPENING, p_clamp_intensities=1)])
    smallest, largest = NOISE_HU
    # the library's noise_variance is a standard deviation
    noise = GaussianNoiseTransform((smallest / hu_per_unit, largest / hu_per_unit))
    return ComposeTransforms([RandomTransform(sharpness, probability), RandomTransform(AboveFloor(noise), probability)])


def guidance_corruption(probability: float, max_voxels: int) -> ComposeTransforms:
    """Errors of a guiding network: each of blur, shift and a missing organ comes with the given probability."""
    blur = GaussianBlurTransform((0.5, 2.0), synchronize_axes=True, p_per_channel=0.5)
    return ComposeTransforms(
        [
            RandomTransform(blur, probability),
            RandomTransform(ShiftChannels(max_voxels), probability),
            RandomTransform(DropChannel(), probability),
        ]
    )


def patch_transforms(
    patch_size: tuple[int, ...],
    deep_supervision_scales: list | None,
    settings: BranchSettings | None,
    carry_coordinates: bool = False,
) -> ComposeTransforms:
    """Transforms from the dataloader's crop to a training or validation patch.

    Args:
        patch_size: Final (Z, Y, X) patch.
        deep_supervision_scales: One scale a supervised output, or None.
        settings: Regime values for training (``p_scaling``, ``scaling``, ``p_rotation``, ``rotation_deg``,
            ``p_intensity``, ``p_noise_sharpness``, ``hu_per_unit``, ``p_guidance_corruption``,
            ``guidance_shift_voxels``, ``p_guidance_dropout``, ``p_mirror``, ``mirror``); None for validation
            (no augmentation).
        carry_coordinates: The last four image channels are coordinates.
    """
    transforms: list[BasicTransform] = []
    if carry_coordinates:
        transforms.append(SplitCoordinates())
    if settings is not None:
        transforms.append(_spatial_transform(patch_size, settings))
    transforms.append(RemoveLabelTansform(-1, 0))
    if settings is not None:
        transforms += _value_transforms(settings)
    if carry_coordinates:
        transforms.append(AppendCoordinates())
    if deep_supervision_scales is not None:
        transforms.append(DownsampleSegForDSTransform(ds_scales=deep_supervision_scales))
    return ComposeTransforms(transforms)


def _spatial_transform(patch_size: tuple[int, ...], settings: BranchSettings) -> SpatialTransform:
    """Rotation and scaling; labels outside of the scan become -1."""
    return SpatialTransform(
        patch_size,
        patch_center_dist_from_border=0,
        random_crop=False,
        p_rotation=settings.p_rotation,
        rotation=rotation_range(settings),
        p_scaling=settings.p_scaling,
        scaling=settings.scaling,
        p_synchronize_scaling_across_axes=1,
        border_mode_seg="constant",
        padding_value_seg=-1,
    )


def _value_transforms(settings: BranchSettings) -> list[BasicTransform]:
    """What follows the spatial transform: nothing where the regime's probabilities are 0."""
    transforms: list[BasicTransform] = []
    if settings.p_intensity:
        on_ct = OnChannels(intensity_transforms(), slice(0, 1), standardise=True)
        transforms.append(RandomTransform(on_ct, settings.p_intensity))
    if settings.p_noise_sharpness:
        of_scanners = noise_and_sharpness(settings.p_noise_sharpness, settings.hu_per_unit)
        transforms.append(OnChannels(of_scanners, slice(0, 1)))
    if settings.p_guidance_corruption:
        corruption = guidance_corruption(settings.p_guidance_corruption, settings.guidance_shift_voxels)
        transforms.append(OnChannels(corruption, slice(1, None)))
    if settings.p_guidance_dropout:
        # else a network that has seen few patients learns to trust the guidance of their very peaks and shapes
        dropout = OnChannels(BlankChannels(), slice(1, None))
        transforms.append(RandomTransform(dropout, settings.p_guidance_dropout))
    if settings.p_mirror:
        transforms.append(
            RandomTransform(
                MirrorSides(settings.mirror.known_classes, settings.mirror.known_channels), settings.p_mirror
            )
        )
    return transforms


def rotation_range(settings: BranchSettings) -> tuple[float, float]:
    """Rotation angles about each axis, radians."""
    angle = settings.rotation_deg / 180 * np.pi
    return (-angle, angle)
