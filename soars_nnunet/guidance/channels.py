"""Out-of-fold guidance: what each training case gets from models that never saw it (and, to compare, that did).

Anchor probabilities become channels of MidLevel and Detection; heat maps become channels of
SmallHard, and their peaks the centres of its VOI crops. Test cases will be guided by models that
did not train on them, so training cases must be too.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from soars_nnunet.cascade.classes import branch_dataset_json, branch_labels
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.record import CHECKPOINT, INFERENCE_REVISION, Cascade
from soars_nnunet.cascade.storage import file_hash, json_hash, provenance, read_json, replacing, write_json
from soars_nnunet.cascade.stored_cases import load_preprocessed, preprocessing_record, read_channels, write_channels
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.geometry.grid import Grid
from soars_nnunet.geometry.voi import sample_on_box
from soars_nnunet.guidance.crops import write_crops
from soars_nnunet.guidance.detections import detection_spacing_mm, format_detections, score_detections, write_detections
from soars_nnunet.images.network_frame import from_network_frame
from soars_nnunet.prediction.branch_model import BranchModel, guidance
from soars_nnunet.prediction.tiling import DEFAULT_TILING, Tiling
from soars_nnunet.progress import Progress, silent


def make_channels(
    cascade: Cascade,
    plans: str,
    device: torch.device,
    raw: bool = False,
    progress: Progress = silent,
    branches: Sequence[str] = ("anchor", "detection"),
    crops: bool = True,
    jittered: int | None = None,
    in_sample: bool = False,
    tiling: Tiling = DEFAULT_TILING,
) -> list[str]:
    """Make the out-of-fold output of every branch that others are guided by, as far as models exist.

    Args:
        cascade: The stratified dataset.
        plans: Plans name of the guiding models.
        device: Where to run the networks.
        raw: Also write the anchor channels as ordinary nnU-Net channel files on the CT grid.
        progress: Receives one line per case.
        branches: Guiding branches to run; detection is left out while none of its folds is trained.
        crops: Also write SmallHard's crops, of which a dataset has one set, whatever the plans.
        jittered: Further crops a patient and target, see ``write_crops``.
        in_sample: Only store what anchors that trained on each case make of it, for ablations; it lies beside
            the out-of-fold channels.
        tiling: Where the networks run, and on how large tiles; the same as in prediction is best.

    Returns:
        Keys of the branches whose output is complete.

    Raises:
        InputError: If ``jittered`` is negative, or given without crops.
        MissingArtifactError: If folds are missing or were trained on another split.
    """
    if jittered is not None and (jittered < 0 or not crops):
        raise InputError(f"jittered crops: expected 0 or more a target, and crops to be written; got {jittered}")
    if not {"mid_level", "detection"} & set(cascade.datasets):
        raise MissingArtifactError(f"{cascade.source}: the profile has anchors only, so no branch needs channels")
    done = ["anchor"]
    anchor_plans = cascade.plans_of("anchor", plans)
    write_guidance(cascade, "anchor", anchor_plans, device, progress, in_sample, tiling)
    if in_sample:
        complete_guided_datasets(cascade, anchor_plans, False, progress)
        return done
    complete_guided_datasets(cascade, anchor_plans, raw, progress)
    if "detection" in cascade.datasets and "detection" in branches:
        plans = cascade.plans_of("detection", plans)
        if not cascade.trained_folds("detection", plans):
            command = cascade.train_command("detection", 0, plans)
            progress(f"Detection: not trained yet; after soars-plan run: {command}")
        else:
            write_guidance(cascade, "detection", plans, device, progress, tiling=tiling)
            scores = score_detections(cascade, plans, progress)
            write_detections(cascade, plans, scores)
            for line in format_detections(scores, detection_spacing_mm(cascade, plans)):
                progress(line)
            if crops:
                write_crops(cascade, plans, progress, jittered)
            done.append("detection")
    return done


def write_guidance(
    cascade: Cascade,
    branch: str,
    plans: str,
    device: torch.device,
    progress: Progress,
    in_sample: bool = False,
    tiling: Tiling = DEFAULT_TILING,
) -> None:
    """Store a branch's output on each training case, computed by the fold that validates on the case.

    Anchor stores organ probabilities, detection heat maps: float16 (C, z, y, x) on the preprocessed
    grid. Finished cases are kept if split, models and plans are unchanged. With ``in_sample`` the next fold computes
    it, which trained on the case, as the paper presumably did (sec. 3.1 names no split).

    Raises:
        MissingArtifactError: If a fold is missing, or was trained on another split.
    """
    record = guidance_record(cascade, branch, plans)
    record |= {"in_sample": True} if in_sample else {}
    record |= {"tiling": tiling.to_json()} if tiling != DEFAULT_TILING else {}
    splits, folder = cascade.splits(branch), cascade.channels(branch, plans, in_sample)
    if not (folder / "started.json").is_file() or read_json(folder / "started.json") != record:
        shutil.rmtree(folder, ignore_errors=True)
        write_json(folder / "started.json", record)
    total, count = sum(len(split["val"]) for split in splits), 0
    for fold, split in enumerate(splits):
        model: BranchModel | None = None
        for case in split["val"]:
            count += 1
            kept = _is_finished(folder, case)
            progress(f"{branch} [{count}/{total}] fold {fold}: {case}{' (kept)' if kept else ''}")
            if kept:
                continue
            if model is None:
                chosen = [(fold + in_sample) % len(splits)]
                model = BranchModel(cascade.model(branch, plans), chosen, device, tiling)
            data, _, _ = load_preprocessed(cascade.data(branch, plans), case)
            write_channels(folder, case, guidance(model, torch.from_numpy(data)).cpu().numpy())
    write_json(folder / "provenance.json", record)


def complete_guided_datasets(cascade: Cascade, plans: str, raw: bool, progress: Progress) -> None:
    """Name the anchor channels in the guided datasets; with ``raw`` also write them as channel files."""
    anchors = [name for name, _ in branch_labels(cascade, "anchor")]
    for branch in ("mid_level", "detection"):
        if branch not in cascade.datasets:
            continue
        path = cascade.raw(branch) / "dataset.json"
        old = read_json(path)
        new = branch_dataset_json(cascade, branch, anchors, old["numTraining"], old["file_ending"])
        new["dataset"] = {case: {**files, "images": files["images"][:1]} for case, files in old["dataset"].items()}
        if raw:
            for case, files in new["dataset"].items():
                progress(f"{branch}: channel files of {case}")
                files["images"] += _write_raw_channels(cascade, branch, plans, case, old["file_ending"])
        write_json(path, new)


def guidance_record(cascade: Cascade, branch: str, plans: str) -> dict[str, Any]:
    """What a branch's out-of-fold output depends on: split, models, plans, preprocessed cases.

    Raises:
        MissingArtifactError: If a fold is missing, or was trained on another split, spacing or CT unit.
    """
    cascade.require_folds(branch, plans)
    splits = cascade.splits(branch)
    model = cascade.model(branch, plans)
    cascade.require_same_grid(branch, plans)
    cascade.require_same_split(branch, plans)
    return {
        "branch": branch,
        "plans": json_hash(read_json(model / "plans.json")),
        "split_sha256": cascade.split_hash(branch),
        "models": [file_hash(model / f"fold_{fold}" / CHECKPOINT) for fold in range(len(splits))],
        "cases": json_hash(read_json(preprocessing_record(cascade, branch, plans))),
        "provenance": provenance(),
        "inference": INFERENCE_REVISION,
    }


def _is_finished(folder: Path, case: str) -> bool:
    try:
        return read_channels(folder, case).ndim == 4
    except MissingArtifactError:
        return False


def _write_raw_channels(cascade: Cascade, branch: str, plans: str, case: str, ending: str) -> list[str]:
    files = deepcopy(read_json(cascade.raw("anchor") / "dataset.json"))["dataset"][case]
    image = sitk.ReadImage(_expand(files["images"][0]))
    channels = read_channels(cascade.channels("anchor", plans), case).astype(np.float32)
    _, _, properties = load_preprocessed(cascade.data("anchor", plans), case)
    grid = Grid.from_properties(properties, channels.shape[1:])
    full = tuple((0, size) for size in grid.image_shape)
    paths = []
    for index, values in enumerate(sample_on_box(channels, grid, full).numpy(), 1):
        name = f"{case}_{index:04d}{ending}"
        with replacing(cascade.raw(branch) / "imagesTr" / name) as temporary:
            sitk.WriteImage(from_network_frame(values, image), str(temporary), True)
        paths.append(f"$nnUNet_raw/{cascade.datasets[branch]}/imagesTr/{name}")
    return paths


def _expand(path: str) -> str:
    return path.replace("$nnUNet_raw", str(raw_folder()))
