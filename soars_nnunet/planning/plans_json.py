"""nnU-Net's plans and fingerprint as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from soars_nnunet.cascade.classes import READER
from soars_nnunet.cascade.plans_file import CONFIGURATION, SETTINGS
from soars_nnunet.networks.phnn import HEATMAP_BACKGROUND
from soars_nnunet.paper import stated
from soars_nnunet.planning.sizes import NetworkSize
from soars_nnunet.settings.branch_settings import BranchSettings

HU_WINDOW = stated("hu_window")
"""Intensity window of the paper, HU."""


def _plans(
    dataset: str,
    name: str,
    spacing: np.ndarray,
    geometry: list,
    shape: np.ndarray,
    size: NetworkSize,
    settings: BranchSettings,
    genotype: list[str],
) -> dict[str, Any]:
    num_channels = settings.num_channels
    architecture = {
        "genotype": list(genotype),
        "features_per_stage": list(settings.features_per_stage),
        "n_convs_per_stage": list(settings.n_convs_per_stage),
        "strides": [list(stride) for stride in size.strides],
    }
    if settings.branch == "detection":
        architecture["constant_background"] = HEATMAP_BACKGROUND
    configuration = {
        "data_identifier": f"{name}_{CONFIGURATION}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": settings.batch_size,
        "patch_size": list(size.patch),
        "median_image_size_in_voxels": [float(s) for s in shape],
        "spacing": [float(s) for s in spacing],
        "normalization_schemes": ["CTNormalization"] + ["NoNormalization"] * (num_channels - 1),
        "use_mask_for_norm": [False] * num_channels,
        **_resampling(),
        "batch_dice": True,
        "architecture": {
            "network_class_name": "soars_nnunet.networks.phnn.PHNN",
            "arch_kwargs": architecture,
            "_kw_requires_import": [],
        },
        SETTINGS: settings.to_json(),
    }
    return {
        "dataset_name": dataset,
        "plans_name": name,
        "original_median_spacing_after_transp": [float(v) for v in np.median([g[1] for g in geometry], axis=0)],
        "original_median_shape_after_transp": [int(v) for v in np.median([g[0] for g in geometry], axis=0)],
        "image_reader_writer": READER,
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {CONFIGURATION: configuration},
        "experiment_planner_used": "soars-plan",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            str(i): _intensities(i, settings.hu_per_unit) for i in range(num_channels)
        },
    }


def _resampling() -> dict[str, Any]:
    """nnU-Net's default resampling of images (cubic), labels and probabilities (linear)."""
    function = "resample_data_or_seg_to_shape"
    linear = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
    kwargs = {
        "data": {**linear, "order": 3},
        "seg": {**linear, "is_seg": True},
        "probabilities": linear,
    }
    return {
        f"resampling_fn_{what}{suffix}": value
        for what, values in kwargs.items()
        for suffix, value in (("", function), ("_kwargs", values))
    }


def _intensities(channel: int, hu_per_unit: float) -> dict[str, float]:
    """Properties by which nnU-Net's CTNormalization clips to the window and maps its floor to 0; unused for guidance.

    With the whole window as one unit, soft tissues would differ by 0.1 where guidance channels go from 0 to 1: in the
    first feature maps, which have one normalisation for all that they add up, the CT would be lost beside them. Heat
    maps fill a VOI, so there the CT needs a smaller unit than beside anchors, which are empty in most places.
    """
    low, high = HU_WINDOW if channel == 0 else (0.0, 1.0)
    return {
        "mean": low,
        "std": hu_per_unit if channel == 0 else 1.0,
        "min": low,
        "max": high,
        "median": low,
        "percentile_00_5": low,
        "percentile_99_5": high,
    }


def _fingerprint(geometry: list, plans: dict[str, Any]) -> dict[str, Any]:
    return {
        "spacings": [g[1] for g in geometry],
        "shapes_after_crop": [g[0] for g in geometry],
        "foreground_intensity_properties_per_channel": plans["foreground_intensity_properties_per_channel"],
        "median_relative_size_after_cropping": 1.0,
    }
