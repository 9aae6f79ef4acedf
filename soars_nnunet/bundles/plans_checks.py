"""nnU-Net's plans and ``dataset.json`` in a bundle: those that soars-plan writes, within sane sizes, and no others.

nnU-Net imports classes by the names that plans give. Nothing of the plans goes to nnU-Net before every such name was
compared with the one that soars-plan writes.
"""

from __future__ import annotations

from math import prod

from soars_nnunet.bundles.cascade_checks import UPGRADE
from soars_nnunet.bundles.content import CONFIGURATION_KEYS, DATASET_KEYS, ORIGIN_KEYS, PLANS_KEYS
from soars_nnunet.bundles.node import Node
from soars_nnunet.bundles.settings_checks import (
    FAR,
    MAX_BATCH,
    MAX_CONVS,
    MAX_FEATURES,
    MAX_PATCH,
    channel_names,
    check_settings,
)
from soars_nnunet.cascade.classes import READER
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.plans_file import CONFIGURATION, SETTINGS
from soars_nnunet.networks.genotype import KINDS, NUM_BLOCKS

NETWORK = "soars_nnunet.networks.phnn.PHNN"
"""The only class that plans of a bundle may name for the network."""

MAX_STRIDE = 8
"""Of a block's pooling."""

MAX_PATCH_VOXELS = 2**25

SPACING_MM = (0.1, 50.0)


NEEDED = ("configurations", "transpose_forward", "transpose_backward", "foreground_intensity_properties_per_channel")
"""Of nnU-Net's plans, what a prediction reads."""


def check_plans(node: Node, key: str, cascade: Manifest) -> None:
    """Check the plans of a branch.

    Args:
        node: The plans.
        key: Of the branch.
        cascade: What the manifest says of it.

    Raises:
        MissingArtifactError: If anything in them is not as soars-plan writes it, or out of proportion.
    """
    channels = 1 + len(cascade.branches[key].guidance)
    needed = (
        "configurations",
        "transpose_forward",
        "transpose_backward",
        "foreground_intensity_properties_per_channel",
    )
    fields = node.fields(needed, PLANS_KEYS, UPGRADE)
    for name in ("transpose_forward", "transpose_backward"):
        fields[name].exactly([0, 1, 2])
    for name, value in (("image_reader_writer", READER), ("label_manager", "LabelManager")):
        if name in fields:
            fields[name].exactly(value)
    for name in ("dataset_name", "plans_name", "experiment_planner_used"):
        if name in fields:
            fields[name].text("[A-Za-z0-9][A-Za-z0-9_ .-]{0,99}")
    for name in ("original_median_spacing_after_transp", "original_median_shape_after_transp"):
        if name in fields:
            fields[name].numbers(3, 0, FAR)
    _check_intensities(fields["foreground_intensity_properties_per_channel"], channels)
    configuration = fields["configurations"].fields((CONFIGURATION,))[CONFIGURATION]
    _check_configuration(configuration, key, cascade)


def _check_intensities(node: Node, channels: int) -> None:
    """One row a channel; the CT's window and unit make sense."""
    for row in node.fields([str(channel) for channel in range(channels)]).values():
        names = ("mean", "std", "percentile_00_5", "percentile_99_5")
        fields = row.fields(names, ("min", "max", "median"))
        for field in fields.values():
            field.number(-FAR, FAR)
        fields["std"].number(1e-6, FAR)
        low, high = fields["percentile_00_5"].value, fields["percentile_99_5"].value
        if low >= high:
            row.refuse("a window from a lower to a higher number", f"{low} to {high}")


def _check_configuration(node: Node, key: str, cascade: Manifest) -> None:
    channels = 1 + len(cascade.branches[key].guidance)
    optional = ("data_identifier", "median_image_size_in_voxels", "use_mask_for_norm", "batch_dice")
    needed = [name for name in CONFIGURATION_KEYS if name not in optional]
    fields = node.fields(needed, optional, UPGRADE)
    _check_architecture(fields["architecture"])
    fields["preprocessor_name"].exactly("DefaultPreprocessor")
    fields["normalization_schemes"].exactly(["CTNormalization"] + ["NoNormalization"] * (channels - 1))
    for what in ("data", "seg", "probabilities"):
        fields[f"resampling_fn_{what}"].exactly("resample_data_or_seg_to_shape")
        arguments = fields[f"resampling_fn_{what}_kwargs"]
        given = arguments.fields(("is_seg", "order", "order_z", "force_separate_z"))
        given["is_seg"].exactly(what == "seg")
        given["order"].whole(0, 5)
        given["order_z"].exactly(0)
        given["force_separate_z"].exactly(None)
    patch = fields["patch_size"].wholes(3, 1, MAX_PATCH)
    if prod(patch) > MAX_PATCH_VOXELS:
        fields["patch_size"].refuse(f"at most {MAX_PATCH_VOXELS} voxels")
    fields["spacing"].numbers(3, *SPACING_MM)
    fields["batch_size"].whole(1, MAX_BATCH)
    if "data_identifier" in fields:
        fields["data_identifier"].text("[A-Za-z0-9][A-Za-z0-9_ .-]{0,99}")
    if "median_image_size_in_voxels" in fields:
        fields["median_image_size_in_voxels"].numbers(3, 0, FAR)
    if "use_mask_for_norm" in fields:
        fields["use_mask_for_norm"].exactly([False] * channels)
    if "batch_dice" in fields:
        fields["batch_dice"].exactly(True)
    check_settings(fields[SETTINGS], key, cascade)


def _check_architecture(node: Node) -> None:
    """The network is P-HNN, of a size that fits a computer."""
    fields = node.fields(("network_class_name", "arch_kwargs", "_kw_requires_import"))
    fields["network_class_name"].exactly(NETWORK)
    fields["_kw_requires_import"].exactly([])
    needed = ("genotype", "features_per_stage", "n_convs_per_stage", "strides")
    arguments = fields["arch_kwargs"].fields(needed, ("constant_background",), UPGRADE)
    for kind in arguments["genotype"].items(NUM_BLOCKS, NUM_BLOCKS):
        kind.one_of(KINDS)
    arguments["features_per_stage"].wholes(NUM_BLOCKS, 1, MAX_FEATURES)
    arguments["n_convs_per_stage"].wholes(NUM_BLOCKS, 1, MAX_CONVS)
    for stride in arguments["strides"].items(NUM_BLOCKS, NUM_BLOCKS):
        stride.wholes(3, 1, MAX_STRIDE)
    background = arguments.get("constant_background")
    if background is not None and background.value is not None:
        background.number(-1000, 1000)


def check_dataset(node: Node, key: str, cascade: Manifest) -> None:
    """Check the ``dataset.json`` of a branch: its channels and labels are those of the cascade.

    Raises:
        MissingArtifactError: If they are not, or anything else is odd.
    """
    branch = cascade.branches[key]
    fields = node.fields(("channel_names", "labels"), DATASET_KEYS, UPGRADE)
    fields["channel_names"].exactly(channel_names(len(branch.guidance)))
    labels = {"background": 0}
    for label, name in enumerate(branch.classes, 1):
        labels[name] = label
    fields["labels"].exactly(labels)
    if "numTraining" in fields:
        fields["numTraining"].whole(0, 10**7)
    if "file_ending" in fields:
        fields["file_ending"].text(r"(\.[A-Za-z0-9]{1,8}){1,2}")
    if "overwrite_image_reader_writer" in fields:
        fields["overwrite_image_reader_writer"].exactly(READER)
    if SETTINGS in fields:
        own = fields[SETTINGS].fields((), ORIGIN_KEYS, UPGRADE)
        for name, value in {"branch": key, "guidance": list(branch.guidance)}.items():
            if name in own:
                own[name].exactly(value)
        if "source" in own:
            own["source"].text(most=200)
