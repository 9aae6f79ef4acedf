"""Out-of-fold guidance: what each training case gets from models that never saw it (and, to compare, that did).

Anchor probabilities become channels of MidLevel and Detection; heat maps become channels of
SmallHard, and their peaks the centres of its VOI crops. Test cases will be guided by models that
did not train on them, so training cases must be too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from soars_nnunet.cascade.classes import branch_dataset_json, branch_labels
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.image_file import write_image
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.source_files import require_unchanged
from soars_nnunet.cascade.storage import read_object, write_json
from soars_nnunet.cascade.stored_cases import load_preprocessed, read_channels
from soars_nnunet.cascade.trained import trained_folds, training_command
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.geometry.grid import Box, Grid
from soars_nnunet.geometry.voi import sample_on_box
from soars_nnunet.guidance.crops import write_crops
from soars_nnunet.guidance.detections import detection_spacing_mm, format_detections, score_detections, write_detections
from soars_nnunet.guidance.out_of_fold import write_guidance
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.network_frame import from_network_frame
from soars_nnunet.prediction.tiling import DEFAULT_TILING, Tiling
from soars_nnunet.progress import Progress, silent


@dataclass(frozen=True)
class ChannelOptions:
    """Which output is made.

    Attributes:
        raw: Also write the anchor channels as ordinary nnU-Net channel files on the CT grid.
        branches: Guiding branches to run; detection is left out while none of its folds is trained.
        in_sample: Only store what anchors that trained on each case make of it, for ablations; it lies beside
            the out-of-fold channels.
        tiling: Where the networks run, and on how large tiles; the same as in prediction is best.
    """

    raw: bool = False
    branches: tuple[str, ...] = ("anchor", "detection")
    in_sample: bool = False
    tiling: Tiling = DEFAULT_TILING


ALL_CHANNELS = ChannelOptions()


def make_channels(
    cascade: Cascade,
    plans: str,
    device: torch.device,
    options: ChannelOptions = ALL_CHANNELS,
    *,
    progress: Progress = silent,
) -> list[str]:
    """Make the out-of-fold output of every branch that others are guided by, as far as models exist.

    Args:
        cascade: The stratified dataset.
        plans: Plans name of the guiding models.
        device: Where to run the networks.
        options: Which output is made.
        progress: Receives one line per case.

    Returns:
        Keys of the branches whose output is complete.

    Raises:
        MissingArtifactError: If folds are missing or were trained on another split, or CTs or label maps changed
            since stratification.
    """
    if not {"mid_level", "detection"} & set(cascade.datasets):
        raise MissingArtifactError(f"{cascade.source}: the profile has anchors only, so no branch needs channels")
    cascade.require_plans(plans)
    require_unchanged(cascade)
    anchor_plans = cascade.plans_of("anchor", plans)
    write_guidance(
        cascade,
        "anchor",
        anchor_plans,
        device,
        in_sample=options.in_sample,
        tiling=options.tiling,
        progress=progress,
    )
    complete_guided_datasets(cascade, anchor_plans, options.raw and not options.in_sample, progress)
    is_wanted = "detection" in options.branches and not options.in_sample
    if not is_wanted or "detection" not in cascade.datasets:
        return ["anchor"]
    detection_plans = cascade.plans_of("detection", plans)
    if not trained_folds(cascade.model("detection", detection_plans)):
        command = training_command(cascade, "detection", 0, detection_plans)
        progress(f"Detection: not trained yet; run soars-plan, then for each fold: {command}")
        return ["anchor"]
    write_guidance(cascade, "detection", detection_plans, device, tiling=options.tiling, progress=progress)
    _report_detections(cascade, detection_plans, progress)
    write_crops(cascade, detection_plans, progress)
    return ["anchor", "detection"]


def _report_detections(cascade: Cascade, plans: str, progress: Progress) -> None:
    scores = score_detections(cascade, plans, progress)
    write_detections(cascade, plans, scores)
    for line in format_detections(scores, detection_spacing_mm(cascade, plans)):
        progress(line)


def complete_guided_datasets(cascade: Cascade, plans: str, raw: bool, progress: Progress) -> None:
    """Name the anchor channels in the guided datasets.

    Args:
        cascade: The stratified dataset, with anchor channels.
        plans: Plans of the anchors.
        raw: Also write the channels as channel files.
        progress: Receives a line per case and branch whose files are written.
    """
    anchors = [name for name, _ in branch_labels(cascade, "anchor")]
    for branch in ("mid_level", "detection"):
        if branch not in cascade.datasets:
            continue
        path = cascade.raw(branch) / "dataset.json"
        old = read_object(path)
        ending = old["file_ending"]
        new = branch_dataset_json(cascade, branch, anchors, num_cases=old["numTraining"], ending=ending)
        new["dataset"] = {}
        for case, files in old["dataset"].items():
            images = files["images"][:1]
            if raw:
                progress(f"{branch}: channel files of {case}")
                images += _write_raw_channels(cascade, branch, plans, case, ct=images[0], ending=ending)
            new["dataset"][case] = {**files, "images": images}
        write_json(path, new)


def _write_raw_channels(cascade: Cascade, branch: str, plans: str, case: str, *, ct: str, ending: str) -> list[str]:
    """Write a case's anchor channels on the grid of its CT; returns the files as dataset.json lists them."""
    image = read_ct(ct.replace("$nnUNet_raw", str(raw_folder())))
    channels = read_channels(cascade.channels("anchor", plans), case).astype(np.float32)
    _, _, properties = load_preprocessed(cascade.data("anchor", plans), case)
    grid = Grid.from_properties(properties, channels.shape[1:])
    z, y, x = grid.image_shape
    whole: Box = ((0, z), (0, y), (0, x))
    paths = []
    for index, values in enumerate(sample_on_box(channels, grid, whole).numpy(), 1):
        name = f"{case}_{index:04d}{ending}"
        write_image(from_network_frame(values, image), cascade.raw(branch) / "imagesTr" / name)
        paths.append(f"$nnUNet_raw/{cascade.datasets[branch]}/imagesTr/{name}")
    return paths
