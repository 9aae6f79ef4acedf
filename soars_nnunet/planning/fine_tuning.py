"""Plans of the end-to-end fine-tuning (paper sec. 4.2, step 3): ``soars-plan --fine-tune NAME``.

The source dataset itself is planned and preprocessed, on the anchors' grid and with all its organs. The
branches' own plans are copied under the new name, so that the fine-tuned models are ordinary ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor

from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.manifest import write_manifest
from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.record import FINE_TUNING_PLANNER, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.planning.preprocess import preprocess
from soars_nnunet.progress import Progress, silent
from soars_nnunet.regime import complete_passes, override_settings, regimes, require_fitting

FINE_TUNED = ("anchor", "mid_level", "detection", "small_hard")
TUNABLE = (
    "num_epochs",
    "iterations_per_epoch",
    "patches_per_volume",
    "val_iterations_per_epoch",
    "batch_size",
    "initial_lr",
    "optimizer",
    "weight_decay",
    "decoupled_weight_decay",
    "beta1",
    "beta2",
    "organ_centred_patches",
    "save_every",
    "seed",
    "vois_per_patch",
    "fine_tuned",
)
"""What ``--set`` may change: patches are not augmented, as the VOI crops are not, and losses are the branches' own."""
LOSS_SETTINGS = (
    "dice_weight",
    "ce_weight",
    "dice_background",
    "dice_absent_classes",
    "side_output_weights",
    "heatmap_foreground_weight",
    "sigma_mm",
)


def plan_fine_tuning(
    cascade: Cascade,
    name: str,
    base: str,
    overrides: Sequence[str] = (),
    num_processes: int = 2,
    progress: Progress = silent,
) -> Path:
    """Plan and preprocess the source dataset for ``SOARSFineTuneTrainer``.

    Args:
        cascade: Stratified dataset whose branches are trained.
        name: Name of the new plans, and of the fine-tuned cascade.
        base: Plans of the trained branches.
        overrides: ``KEY=VALUE`` regime values.
        num_processes: Preprocessing workers.
        progress: Receives one line per decision.

    Returns:
        The plans file.

    Raises:
        InputError: If the name is taken by plans that are no fine-tuning's, or a value is none.
        MissingArtifactError: If a branch is not trained, or on another split or grid than the present one.
    """
    whole = replace(cascade, datasets={**cascade.datasets, "fine_tune": cascade.source})
    _check_name(whole, name, base)
    joined, models = {}, {}
    for branch in cascade.branches:
        plans = cascade.plans_of(branch.key, base)
        folder = cascade.model(branch.key, plans)
        if not cascade.trained_folds(branch.key, plans):
            raise MissingArtifactError(
                f"{folder}: expected trained folds of every branch; run {cascade.train_command(branch.key, 0, plans)}"
            )
        cascade.require_same_split(branch.key, plans)
        cascade.require_same_grid(branch.key, plans)
        models[branch.key] = read_json(folder / "plans.json")
        configuration = PlansFile(models[branch.key]).configuration
        joined[branch.key] = {
            "plans": plans,
            "classes": [[organ, members] for organ, members in branch_labels(cascade, branch.key)],
            "patch_size": configuration["patch_size"],
            "loss": {key: configuration["soars"][key] for key in LOSS_SETTINGS},
        }
    plans = _plans(whole, name, models, joined, overrides)
    folder = whole.preprocessed("fine_tune")
    write_json(folder / "dataset.json", read_json(raw_folder() / cascade.source / "dataset.json"))
    if not (folder / "dataset_fingerprint.json").is_file():
        # nnU-Net's own, as it will serve whatever else is planned for the dataset
        DatasetFingerprintExtractor(cascade.source, num_processes).run()
    write_json(whole.plans("fine_tune", name), plans)
    done = preprocess(whole, "fine_tune", name, None, num_processes)
    for key, model in models.items():
        write_json(
            cascade.plans(key, name), {**model, "plans_name": name, "experiment_planner_used": FINE_TUNING_PLANNER}
        )
    write_manifest(cascade, name, base)
    settings = PlansFile(plans).configuration["soars"]
    budget = f"{settings['num_epochs']} x {settings['iterations_per_epoch']} iterations"
    progress(
        f"{cascade.source}: {done}; moving {', '.join(settings['fine_tuned'])}; {budget}; "
        f"next: {whole.train_command('fine_tune', 0, name)}"
    )
    return whole.plans("fine_tune", name)


def _check_name(cascade: Cascade, name: str, base: str) -> None:
    if name == base:
        raise InputError(f"--fine-tune {name}: expected another name than that of the trained plans; choose another")
    for key in cascade.datasets:
        path = cascade.plans(key, name)
        if path.is_file() and read_json(path).get("experiment_planner_used") != FINE_TUNING_PLANNER:
            raise InputError(f"--fine-tune {name}: expected a new name, got that of {path}; choose another")


def _plans(
    cascade: Cascade,
    name: str,
    models: dict[str, dict[str, Any]],
    joined: dict[str, dict[str, Any]],
    overrides: Sequence[str],
) -> dict[str, Any]:
    """The anchors' plans with all networks in one."""
    plans = deepcopy(models["anchor"])
    configuration = PlansFile(plans).configuration
    own = configuration["soars"]
    settings = {**own, **regimes()[own["regime"]]["fine_tune"], "branch": "fine_tune"}
    cases = float(np.mean([len(split["train"]) for split in cascade.splits()]))
    if own["patches_per_volume"] and own == complete_passes({**own, "iterations_per_epoch": None}, cases):
        settings["iterations_per_epoch"] = None  # passes, of whatever batch size is asked for
    settings |= override_settings({key: settings[key] for key in TUNABLE}, "fine_tune", overrides)
    settings = complete_passes(settings, cases)
    require_fitting(settings)
    moved = settings["fine_tuned"]
    known = isinstance(moved, list) and set(moved) <= set(FINE_TUNED)
    if not known or not set(moved) & set(joined) - {"small_hard"}:
        raise InputError(
            f"fine_tuned: expected a list of some of {', '.join(joined)}, more than small_hard alone, got {moved}"
        )
    settings |= {"fine_tuned": [key for key in joined if key in moved], "cascade": joined}
    configuration["batch_size"] = settings["batch_size"]
    networks = {}
    for key, model in models.items():
        their = PlansFile(model).configuration
        grid, anchors = PlansFile(model).grid_and_units, PlansFile(models["anchor"]).grid_and_units
        if key in ("mid_level", "detection") and grid != anchors:
            raise InputError(
                f"{key} works at {grid}, the anchors at {anchors}: one graph needs one grid; "
                "retrain one of them as the other is"
            )
        networks[key] = {
            **their["architecture"]["arch_kwargs"],
            "input_channels": len(their["soars"]["channel_names"]),
            "num_classes": 1 + len(joined[key]["classes"]),
        }
    configuration["architecture"] = {
        "network_class_name": "soars_nnunet.networks.cascade.CascadeNetwork",
        "arch_kwargs": {
            "branches": networks,
            "guided": [k for k, m in models.items() if PlansFile(m).configuration["soars"]["guidance"]],
            "trained": settings["fine_tuned"],
        },
        "_kw_requires_import": [],
    }
    configuration |= {"data_identifier": f"{name}_{CONFIGURATION}", "soars": settings}
    return {**plans, "dataset_name": cascade.source, "plans_name": name, "experiment_planner_used": FINE_TUNING_PLANNER}
