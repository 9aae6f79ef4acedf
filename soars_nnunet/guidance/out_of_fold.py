"""Out-of-fold output of a guiding branch: each training case by the fold that did not train on it, as files."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch

from soars_nnunet.cascade.record import CHECKPOINT, INFERENCE_REVISION, Cascade
from soars_nnunet.cascade.storage import file_hash, json_hash, provenance, read_json, write_json
from soars_nnunet.cascade.stored_cases import load_preprocessed, preprocessing_record, read_channels, write_channels
from soars_nnunet.cascade.trained import require_folds, require_same_classes, require_same_grid, require_same_split
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.model_folder import ModelFolder
from soars_nnunet.prediction.branch_model import BranchModel, guidance
from soars_nnunet.prediction.tiling import DEFAULT_TILING, Tiling
from soars_nnunet.progress import Progress, silent

STARTED = "started.json"
"""What the files of a folder are made from, while they are made."""

FINISHED = "provenance.json"
"""The same, once all are there."""


def write_guidance(
    cascade: Cascade,
    branch: str,
    plans: str,
    device: torch.device,
    *,
    in_sample: bool = False,
    tiling: Tiling = DEFAULT_TILING,
    progress: Progress = silent,
) -> None:
    """Store a branch's output on each training case, computed by the fold that validates on the case.

    Anchor stores organ probabilities, detection heat maps: float16 (C, z, y, x) on the preprocessed
    grid. Finished cases are kept if split, models and plans are unchanged.

    Args:
        cascade: The stratified dataset.
        branch: Key of the guiding branch.
        plans: Its plans.
        device: Where the networks run.
        in_sample: The next fold computes it, which trained on the case, as the paper presumably did (sec. 3.1 names
            no split).
        tiling: Where the networks run, and on how large tiles.
        progress: Receives one line per case.

    Raises:
        MissingArtifactError: If a fold is missing, or was trained on another split.
    """
    record = guidance_record(cascade, branch, plans)
    if in_sample:
        record["in_sample"] = True
    if tiling != DEFAULT_TILING:
        record["tiling"] = tiling.to_json()
    folder = cascade.channels(branch, plans, in_sample)
    _start(folder, record)
    splits = cascade.splits(branch)
    total = sum(len(split["val"]) for split in splits)
    count = 0
    for fold, split in enumerate(splits):
        used = (fold + in_sample) % len(splits)
        model: BranchModel | None = None
        for case in split["val"]:
            count += 1
            kept = _is_finished(folder, case)
            progress(f"{branch} [{count}/{total}] fold {fold}: {case}{' (kept)' if kept else ''}")
            if kept:
                continue
            if model is None:  # only where there is work left
                model = BranchModel(ModelFolder(cascade.model(branch, plans)), [used], device, tiling)
            data, _, _ = load_preprocessed(cascade.data(branch, plans), case)
            write_channels(folder, case, guidance(model, torch.from_numpy(data)).cpu().numpy())
    write_json(folder / FINISHED, record)


def guidance_record(cascade: Cascade, branch: str, plans: str) -> dict[str, Any]:
    """What a branch's out-of-fold output depends on: split, models, plans, preprocessed cases.

    Raises:
        MissingArtifactError: If a fold is missing, or was trained on another split, other classes, spacing or CT unit.
    """
    require_folds(cascade, branch, plans)
    require_same_grid(cascade, branch, plans)
    require_same_split(cascade, branch, plans)
    require_same_classes(cascade, branch, plans)
    model = cascade.model(branch, plans)
    models = []
    for fold, _ in enumerate(cascade.splits(branch)):
        models.append(file_hash(model / f"fold_{fold}" / CHECKPOINT))
    return {
        "branch": branch,
        "plans": json_hash(read_json(model / "plans.json")),
        "split_sha256": cascade.split_hash(branch),
        "models": models,
        "cases": json_hash(read_json(preprocessing_record(cascade, branch, plans))),
        "provenance": provenance(),
        "inference": INFERENCE_REVISION,
    }


def _start(folder: Path, record: dict[str, Any]) -> None:
    """Empty the folder unless its files are made from the same."""
    started = folder / STARTED
    if started.is_file() and read_json(started) == record:
        return
    shutil.rmtree(folder, ignore_errors=True)
    write_json(started, record)


def _is_finished(folder: Path, case: str) -> bool:
    try:
        return read_channels(folder, case).ndim == 4
    except MissingArtifactError:
        return False
