"""nnU-Net's plans and fingerprint as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from soars_nnunet.cascade.classes import READER
from soars_nnunet.cascade.plans_file import CONFIGURATION, SETTINGS
from soars_nnunet.networks.phnn import HEATMAP_BACKGROUND
from soars_nnunet.paper import stated
from soars_nnunet.planning.case_geometry import CaseGeometry, median_spacing_mm
from soars_nnunet.planning.sizes import NetworkSize
from soars_nnunet.settings.branch_settings import BranchSettings

HU_WINDOW: tuple[float, float] = stated("hu_window")
"""Intensity window of the paper, HU."""


@dataclass(frozen=True)
class PlannedNetwork:
    """What is decided for a branch.

    Attributes:
        dataset_json: nnU-Net's description of the branch's dataset.
        geometries: Grids of the training CTs.
        spacing_mm: (3,), Z, Y, X of the network's grid.
        shape: (3,), voxels of the median image on that grid; of the largest for small & hard.
        size: Patch and strides.
        settings: Of regime, user and dataset.
        genotype: Kind of each block.
    """

    dataset_json: dict[str, Any]
    geometries: Sequence[CaseGeometry]
    spacing_mm: np.ndarray
    shape: np.ndarray
    size: NetworkSize
    settings: BranchSettings
    genotype: list[str]


def plans_json(dataset: str, name: str, network: PlannedNetwork) -> dict[str, Any]:
    """nnU-Net's plans.

    Args:
        dataset: Name of the branch's dataset.
        name: Of the plans.
        network: What is decided.
    """
    settings = network.settings
    median_shape = np.median([geometry.shape for geometry in network.geometries], axis=0)
    return {
        "dataset_name": dataset,
        "plans_name": name,
        "original_median_spacing_after_transp": _floats(median_spacing_mm(network.geometries)),
        "original_median_shape_after_transp": [int(size) for size in median_shape],
        "image_reader_writer": READER,
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {CONFIGURATION: _configuration(name, network)},
        "experiment_planner_used": "soars-plan",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": _all_intensities(settings),
    }


def fingerprint_json(network: PlannedNetwork, plans: dict[str, Any]) -> dict[str, Any]:
    """nnU-Net's fingerprint of the dataset, as far as its own steps read it."""
    return {
        "spacings": [geometry.spacing_mm for geometry in network.geometries],
        "shapes_after_crop": [geometry.shape for geometry in network.geometries],
        "foreground_intensity_properties_per_channel": plans["foreground_intensity_properties_per_channel"],
        "median_relative_size_after_cropping": 1.0,
    }


def _configuration(name: str, network: PlannedNetwork) -> dict[str, Any]:
    settings = network.settings
    guidance = settings.num_channels - 1
    return {
        "data_identifier": f"{name}_{CONFIGURATION}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": settings.batch_size,
        "patch_size": list(network.size.patch),
        "median_image_size_in_voxels": _floats(network.shape),
        "spacing": _floats(network.spacing_mm),
        "normalization_schemes": ["CTNormalization"] + ["NoNormalization"] * guidance,
        "use_mask_for_norm": [False] * settings.num_channels,
        **_resampling(),
        "batch_dice": True,
        "architecture": {
            "network_class_name": "soars_nnunet.networks.phnn.PHNN",
            "arch_kwargs": _architecture(network),
            "_kw_requires_import": [],
        },
        SETTINGS: settings.to_json(),
    }


def _architecture(network: PlannedNetwork) -> dict[str, Any]:
    """Arguments of P-HNN."""
    settings = network.settings
    architecture: dict[str, Any] = {
        "genotype": network.genotype,
        "features_per_stage": list(settings.features_per_stage),
        "n_convs_per_stage": list(settings.n_convs_per_stage),
        "strides": [list(stride) for stride in network.size.strides],
    }
    if settings.branch == "detection":
        architecture["constant_background"] = HEATMAP_BACKGROUND
    return architecture


def _resampling() -> dict[str, Any]:
    """nnU-Net's default resampling of images (cubic), labels and probabilities (linear)."""
    linear = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    arguments = {
        "data": {**linear, "order": 3},
        "seg": {**linear, "is_seg": True},
        "probabilities": linear,
    }
    resampling: dict[str, Any] = {}
    for what, own in arguments.items():
        resampling[f"resampling_fn_{what}"] = "resample_data_or_seg_to_shape"
        resampling[f"resampling_fn_{what}_kwargs"] = own
    return resampling


def _all_intensities(settings: BranchSettings) -> dict[str, dict[str, float]]:
    """By channel, how nnU-Net maps the CT to the network's input; for guidance, which it leaves alone, 0 to 1."""
    low, high = HU_WINDOW
    ct = _intensities(low, high, settings.hu_per_unit)
    guidance = _intensities(0.0, 1.0, 1.0)
    return {str(channel): guidance if channel else ct for channel in range(settings.num_channels)}


def _intensities(low: float, high: float, unit: float) -> dict[str, float]:
    """Properties by which nnU-Net's CTNormalization clips to the window and maps its floor to 0.

    With the whole window as one unit, soft tissues would differ by 0.1 where guidance channels go from 0 to 1: in the
    first feature maps, which have one normalisation for all that they add up, the CT would be lost beside them. Heat
    maps fill a VOI, so there the CT needs a smaller unit than beside anchors, which are empty in most places.
    """
    return {
        "mean": low,
        "std": unit,
        "min": low,
        "max": high,
        "median": low,
        "percentile_00_5": low,
        "percentile_99_5": high,
    }


def _floats(values: np.ndarray) -> list[float]:
    return [float(value) for value in values]
