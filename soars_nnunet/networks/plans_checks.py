"""nnU-Net's plans and ``dataset.json`` of a trained branch: as soars-plan writes them, within sane sizes.

nnU-Net imports classes by the names that plans give. Nothing of the plans goes to nnU-Net before every such name was
compared with the one that soars-plan writes. A bundle may say no more; a training's files may have further keys, of
nnU-Net or of other versions (``Node.open``).
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.classes import READER
from soars_nnunet.cascade.content import CONFIGURATION_KEYS, DATASET_KEYS, ORIGIN_KEYS, PLANS_KEYS
from soars_nnunet.cascade.manifest_checks import UPGRADE, BranchFacts
from soars_nnunet.cascade.plans_file import CONFIGURATION, SETTINGS
from soars_nnunet.cascade.settings_checks import (
    FAR,
    MAX_BATCH,
    MAX_CONVS,
    MAX_FEATURES,
    MAX_PATCH,
    channel_names,
    check_settings,
)
from soars_nnunet.networks.genotype import KINDS, NUM_BLOCKS
from soars_nnunet.schemas.node import Node, checked
from soars_nnunet.schemas.profile_schema import MAX_ORGANS

NETWORK = "soars_nnunet.networks.phnn.PHNN"
"""The only class that plans of a bundle may name for the network."""

MAX_STRIDE = 8
"""Of a block's pooling."""

MAX_PATCH_VOXELS = 2**25

SPACING_MM = (0.1, 50.0)

NEEDED = ("configurations", "transpose_forward", "transpose_backward", "foreground_intensity_properties_per_channel")
"""Of nnU-Net's plans, what a prediction reads."""

NAME = "[A-Za-z0-9][A-Za-z0-9_ .-]{0,99}"

RESTORE = "restore the file that the folds were trained with, or retrain them"
"""What to do about a fault in a training's file."""


def check_training(plans: Any, dataset: Any, folder: Path, facts: BranchFacts | None) -> None:
    """Check the JSON files of a training's model folder.

    Args:
        plans: Of ``plans.json``.
        dataset: Of ``dataset.json``.
        folder: Where they lie, for messages.
        facts: What the cascade's manifest says of the branch; None where there is no manifest.

    Raises:
        FaultError: If one of them is not as soars-plan writes it, or says something else than the manifest; all faults
            of a file at once.
    """
    where = str(folder / "dataset.json")
    checked(dataset, where, _check_shape, advice=RESTORE)
    known = facts or _own_facts(plans, dataset)
    checked(plans, str(folder / "plans.json"), lambda node: check_plans(node, known), advice=RESTORE)
    checked(dataset, where, lambda node: check_dataset(node, known), advice=RESTORE)


def _check_shape(node: Node) -> None:
    fields = node.fields(("channel_names", "labels"))
    fields["channel_names"].entries()
    fields["labels"].entries()


def _own_facts(plans: Any, dataset: dict[str, Any]) -> BranchFacts:
    """Facts that agree with the files themselves, as far as they have any."""
    classes = tuple(name for name in dataset["labels"] if name != "background")
    try:
        guidance = plans["configurations"][CONFIGURATION][SETTINGS]["guidance"]
    except (KeyError, TypeError, IndexError):
        guidance = []
    names = guidance if isinstance(guidance, list) else []
    return BranchFacts("", tuple(name for name in names if isinstance(name, str)), classes)


def check_plans(node: Node, facts: BranchFacts) -> None:
    """Check the plans of a branch.

    Args:
        node: The plans.
        facts: What the cascade says of the branch.

    Raises:
        FaultError: If anything in them is not as soars-plan writes it, or out of proportion.
    """
    fields = node.fields(NEEDED, PLANS_KEYS, UPGRADE)
    for name in ("transpose_forward", "transpose_backward"):
        with node.part():
            fields[name].exactly([0, 1, 2])
    for name, value in (("image_reader_writer", READER), ("label_manager", "LabelManager")):
        if name in fields:
            with node.part():
                fields[name].exactly(value)
    for name in ("dataset_name", "plans_name", "experiment_planner_used"):
        if name in fields:
            with node.part():
                fields[name].text("" if node.open else NAME)
    for name in ("original_median_spacing_after_transp", "original_median_shape_after_transp"):
        if name in fields:
            with node.part():
                fields[name].numbers(3, 0, FAR)
    with node.part():
        _check_intensities(fields["foreground_intensity_properties_per_channel"], 1 + len(facts.guidance))
    configuration = fields["configurations"].fields((CONFIGURATION,))[CONFIGURATION]
    _check_configuration(configuration, facts)


def _check_intensities(node: Node, channels: int) -> None:
    """One row a channel; the CT's window and unit make sense."""
    names = [str(channel) for channel in range(channels)]
    found = node.fields(names)
    for row in [found[name] for name in names]:
        with node.part():
            _check_row(row)


def _check_row(node: Node) -> None:
    names = ("mean", "std", "percentile_00_5", "percentile_99_5")
    fields = node.fields(names, ("min", "max", "median"))
    for name in (*names, "min", "max", "median"):
        if name in fields:
            fields[name].number(-FAR, FAR)
    fields["std"].number(1e-6, FAR)
    low, high = fields["percentile_00_5"].value, fields["percentile_99_5"].value
    if low >= high:
        node.refuse("a window from a lower to a higher number", f"{low} to {high}")


def _check_configuration(node: Node, facts: BranchFacts) -> None:
    channels = 1 + len(facts.guidance)
    optional = ("data_identifier", "median_image_size_in_voxels", "use_mask_for_norm", "batch_dice")
    needed = [name for name in CONFIGURATION_KEYS if name not in optional]
    fields = node.fields(needed, optional, UPGRADE)
    if "inherits_from" in fields:  # nnU-Net would take values of another configuration
        fields["inherits_from"].refuse("a configuration of its own")
    with node.part():
        _check_architecture(fields["architecture"])
    with node.part():
        fields["preprocessor_name"].exactly("DefaultPreprocessor")
    with node.part():
        fields["normalization_schemes"].exactly(["CTNormalization"] + ["NoNormalization"] * (channels - 1))
    for what in ("data", "seg", "probabilities"):
        with node.part():
            _check_resampling(fields, what)
    with node.part():
        patch = fields["patch_size"].wholes(3, 1, MAX_PATCH)
        if prod(patch) > MAX_PATCH_VOXELS:
            fields["patch_size"].refuse(f"at most {MAX_PATCH_VOXELS} voxels")
    with node.part():
        fields["spacing"].numbers(3, *SPACING_MM)
    with node.part():
        fields["batch_size"].whole(1, MAX_BATCH)
    _check_further(node, fields, channels)
    check_settings(fields[SETTINGS], facts)


def _check_resampling(fields: dict[str, Node], what: str) -> None:
    fields[f"resampling_fn_{what}"].exactly("resample_data_or_seg_to_shape")
    given = fields[f"resampling_fn_{what}_kwargs"].fields(("is_seg", "order", "order_z", "force_separate_z"))
    given["is_seg"].exactly(what == "seg")
    given["order"].whole(0, 5)
    given["order_z"].exactly(0)
    given["force_separate_z"].exactly(None)


def _check_further(node: Node, fields: dict[str, Node], channels: int) -> None:
    """What a configuration need not have."""
    with node.part():
        if "data_identifier" in fields:
            fields["data_identifier"].text("" if node.open else NAME)
        if "median_image_size_in_voxels" in fields:
            fields["median_image_size_in_voxels"].numbers(3, 0, FAR)
        if "use_mask_for_norm" in fields:
            fields["use_mask_for_norm"].exactly([False] * channels)
        if "batch_dice" in fields:
            fields["batch_dice"].exactly(True)


def _check_architecture(node: Node) -> None:
    """The network is P-HNN, of a size that fits a computer."""
    fields = node.fields(("network_class_name", "arch_kwargs", "_kw_requires_import"))
    if node.open:  # older versions have it elsewhere; it is not imported by its name
        fields["network_class_name"].text("soars_nnunet[A-Za-z_.]*[.]PHNN")
    else:
        fields["network_class_name"].exactly(NETWORK)
    fields["_kw_requires_import"].exactly([])
    needed = ("genotype", "features_per_stage", "n_convs_per_stage", "strides")
    given = fields["arch_kwargs"]
    arguments = Node(given.value, given.where, given.path, given.advice, faults=given.faults).fields(
        needed, ("constant_background",), UPGRADE
    )
    for kind in arguments["genotype"].items(NUM_BLOCKS, NUM_BLOCKS):
        kind.one_of(KINDS)
    arguments["features_per_stage"].wholes(NUM_BLOCKS, 1, MAX_FEATURES)
    arguments["n_convs_per_stage"].wholes(NUM_BLOCKS, 1, MAX_CONVS)
    for stride in arguments["strides"].items(NUM_BLOCKS, NUM_BLOCKS):
        stride.wholes(3, 1, MAX_STRIDE)
    background = arguments.get("constant_background")
    if background is not None and background.value is not None:
        background.number(-1000, 1000)


def check_dataset(node: Node, facts: BranchFacts) -> None:
    """Check the ``dataset.json`` of a branch: its channels and labels are those of the cascade.

    Raises:
        FaultError: If they are not, or anything else is odd.
    """
    fields = node.fields(("channel_names", "labels"), DATASET_KEYS, UPGRADE)
    with node.part():
        fields["channel_names"].exactly(channel_names(len(facts.guidance)))
    labels = {"background": 0}
    for label, name in enumerate(facts.classes, 1):
        labels[name] = label
    with node.part():
        _check_labels(fields["labels"], labels)
    with node.part():
        if "numTraining" in fields:
            fields["numTraining"].whole(0, 10**7)
        if "file_ending" in fields:
            fields["file_ending"].text(r"(\.[A-Za-z0-9]{1,8}){1,2}")
        if "overwrite_image_reader_writer" in fields:
            fields["overwrite_image_reader_writer"].exactly(READER)
    if SETTINGS in fields:
        _check_origin(fields[SETTINGS], facts)


def _check_labels(node: Node, labels: dict[str, int]) -> None:
    """Exactly these; a message names those that differ."""
    found = node.entries()
    lost = set(labels) - set(found)
    further = set(found) - set(labels)
    if lost or further:
        node.refuse(f"the labels {', '.join(labels)}", ", ".join(found))
    for name, value in labels.items():
        with node.part():
            found[name].exactly(value)


def _check_origin(node: Node, facts: BranchFacts) -> None:
    """Of the raw dataset that the branch was planned from.

    Its guidance is the branch's, unless the branch was planned with the CT alone: its raw dataset has channels then
    that the branch does not read.
    """
    own = node.fields((), ORIGIN_KEYS, UPGRADE)
    if "branch" in own and facts.key:
        own["branch"].exactly(facts.key)
    if "guidance" in own:
        own["guidance"].texts(MAX_ORGANS)
        if facts.guidance:
            own["guidance"].exactly(list(facts.guidance))
    if "source" in own:
        own["source"].text(most=200)
