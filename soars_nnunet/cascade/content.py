"""What of a training's plans and ``dataset.json`` goes into a bundle: what a network needs, no path, no case name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from soars_nnunet.cascade.classes import without_ignore_label
from soars_nnunet.cascade.plans_file import CONFIGURATION, SETTINGS
from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.rule import rules

PLANS_KEYS = (
    "dataset_name",
    "plans_name",
    "original_median_spacing_after_transp",
    "original_median_shape_after_transp",
    "image_reader_writer",
    "transpose_forward",
    "transpose_backward",
    "experiment_planner_used",
    "label_manager",
    "foreground_intensity_properties_per_channel",
)
"""Of nnU-Net's plans, beside ``configurations``."""

CONFIGURATION_KEYS = (
    "data_identifier",
    "preprocessor_name",
    "batch_size",
    "patch_size",
    "median_image_size_in_voxels",
    "spacing",
    "normalization_schemes",
    "use_mask_for_norm",
    "resampling_fn_data",
    "resampling_fn_data_kwargs",
    "resampling_fn_seg",
    "resampling_fn_seg_kwargs",
    "resampling_fn_probabilities",
    "resampling_fn_probabilities_kwargs",
    "batch_dice",
    "architecture",
    SETTINGS,
)
"""Of its one configuration."""

SETTINGS_KEYS = tuple(name for name, _ in rules(BranchSettings) if name not in ("cascade", "start"))
"""Of a branch's settings.

Those of a fine-tuning's joined branches are of no branch of a cascade; the bundle that a branch started from is in the
cascade's manifest, without names of files.
"""

DATASET_KEYS = ("channel_names", "labels", "numTraining", "file_ending", "overwrite_image_reader_writer", SETTINGS)
"""Of ``dataset.json``."""

ORIGIN_KEYS = ("branch", "source", "guidance")
"""Of what soars-stratify and soars-channels add to it."""


def clean_plans(plans: dict[str, Any]) -> dict[str, Any]:
    """Plans with what a bundle may hold; settings that this version does not know are left out."""
    cleaned = _only(plans, PLANS_KEYS)
    configuration = _only(plans["configurations"][CONFIGURATION], CONFIGURATION_KEYS)
    configuration[SETTINGS] = _only(configuration[SETTINGS], SETTINGS_KEYS)
    return {**cleaned, "configurations": {CONFIGURATION: configuration}}


def clean_dataset(dataset: dict[str, Any]) -> dict[str, Any]:
    """``dataset.json`` with what a bundle may hold."""
    cleaned = _only(dataset, DATASET_KEYS)
    if "labels" in cleaned:
        cleaned["labels"] = without_ignore_label(cleaned["labels"])
    cleaned[SETTINGS] = _only(dataset.get(SETTINGS, {}), ORIGIN_KEYS)
    return cleaned


def _only(data: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: data[key] for key in keys if key in data}
