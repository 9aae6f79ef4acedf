"""Plans of the end-to-end fine-tuning (paper sec. 4.2, step 3): ``soars-plan --fine-tune NAME``.

The source dataset itself is planned and preprocessed, on the anchors' grid and with all its organs. The
branches' own plans are copied under the new name, so that the fine-tuned models are ordinary ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import DatasetFingerprintExtractor

from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.manifest import write_manifest
from soars_nnunet.cascade.plans_file import CONFIGURATION, SETTINGS, PlansFile
from soars_nnunet.cascade.record import FINE_TUNING_PLANNER, Cascade
from soars_nnunet.cascade.source_files import require_unchanged
from soars_nnunet.cascade.storage import read_object, read_user_json, write_json
from soars_nnunet.cascade.trained import (
    NO_GPU,
    next_training,
    require_same_grid,
    require_same_split,
    trained_folds,
    training_command,
    training_device,
)
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.planning.planned_settings import mean_training_cases
from soars_nnunet.planning.preprocess import preprocess
from soars_nnunet.progress import Progress, silent
from soars_nnunet.settings.branch_settings import BranchSettings, JoinedBranch
from soars_nnunet.settings.overrides import override_settings
from soars_nnunet.settings.passes import complete_passes
from soars_nnunet.settings.regime import fine_tuning_settings, require_fitting
from soars_nnunet.stratification.anatomy_of_cases import with_anatomy

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


@dataclass(frozen=True)
class TrainedBranch:
    """A branch whose trained folds are taken up.

    Attributes:
        key: Of the branch.
        model: Plans in its model folder: those that it was trained with.
        joined: What the fine-tuning's plans say of it.
    """

    key: str
    model: PlansFile
    joined: JoinedBranch


def plan_fine_tuning(
    cascade: Cascade,
    name: str,
    base: str,
    overrides: Sequence[str] = (),
    *,
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
        InputError: If the name is taken by plans that are no fine-tuning's, a value is none, or label maps have
            voxels labelled ignore.
        MissingArtifactError: If a branch is not trained, or on another split or grid than the present one.
    """
    cascade.require_plans(base)
    _require_drawn(cascade)
    if cascade.ignore is not None:
        raise InputError(
            f"--fine-tune: expected label maps that judge every voxel, got voxels labelled ignore in {cascade.source}; "
            "branches are trained with such, one by one: leave out --fine-tune"
        )
    require_unchanged(cascade)
    whole = replace(cascade, datasets={**cascade.datasets, "fine_tune": cascade.source})
    _check_name(whole, name, base)
    trained = [_trained_branch(cascade, branch.key, base) for branch in cascade.branches]
    plans = _joined_plans(whole, name, trained, overrides)
    done = _preprocess(whole, name, plans, num_processes)
    for branch in trained:
        own = {**branch.model.contents, "plans_name": name, "experiment_planner_used": FINE_TUNING_PLANNER}
        write_json(cascade.plans(branch.key, name), own)
    write_manifest(with_anatomy(cascade), name, base)
    settings = plans.settings
    progress(
        f"{cascade.source}: {done}; moving {', '.join(settings.fine_tuned)}; "
        f"{settings.num_epochs} x {settings.iterations_per_epoch} iterations; "
        f"{next_training(whole, 'fine_tune', name)}"
    )
    if training_device() != "cuda":
        progress(NO_GPU)
    return whole.plans("fine_tune", name)


def _require_drawn(cascade: Cascade) -> None:
    """Check that the source itself has all organs: its own label maps are preprocessed.

    Raises:
        InputError: If some are derived.
    """
    if cascade.derived:
        listed = "; ".join(map(str, cascade.derived))
        raise InputError(
            f"--fine-tune: expected a dataset that draws the profile's organs, got derived ones ({listed}); "
            f"train on a dataset with the label maps of {cascade.derived_labels}"
        )


def _check_name(cascade: Cascade, name: str, base: str) -> None:
    if name == base:
        raise InputError(f"--fine-tune {name}: expected another name than that of the trained plans; choose another")
    for key in cascade.datasets:
        path = cascade.plans(key, name)
        if path.is_file() and read_object(path).get("experiment_planner_used") != FINE_TUNING_PLANNER:
            raise InputError(f"--fine-tune {name}: expected a new name, got that of {path}; choose another")


def _trained_branch(cascade: Cascade, key: str, base: str) -> TrainedBranch:
    plans = cascade.plans_of(key, base)
    folder = cascade.model(key, plans)
    if not trained_folds(cascade.model(key, plans)):
        raise MissingArtifactError(
            f"{folder}: expected trained folds of every branch; run {training_command(cascade, key, 0, plans)}"
        )
    require_same_split(cascade, key, plans)
    require_same_grid(cascade, key, plans)
    model = PlansFile.read(folder / "plans.json")
    classes = tuple((name, tuple(members)) for name, members in branch_labels(cascade, key))
    joined = JoinedBranch(
        plans=plans,
        classes=classes,
        patch_size=tuple(model.configuration["patch_size"]),
        loss=model.settings.loss,
    )
    return TrainedBranch(key, model, joined)


def _preprocess(cascade: Cascade, name: str, plans: PlansFile, num_processes: int) -> str:
    """Write the plans and preprocess the source dataset by them; returns what was done, in words."""
    folder = cascade.preprocessed("fine_tune")
    write_json(folder / "dataset.json", read_user_json(raw_folder() / cascade.source / "dataset.json"))
    if not (folder / "dataset_fingerprint.json").is_file():
        # nnU-Net's own, as it will serve whatever else is planned for the dataset
        DatasetFingerprintExtractor(cascade.source, num_processes).run()
    write_json(cascade.plans("fine_tune", name), plans.contents)
    return preprocess(cascade, "fine_tune", name, None, num_processes=num_processes)


def _joined_plans(cascade: Cascade, name: str, trained: Sequence[TrainedBranch], overrides: Sequence[str]) -> PlansFile:
    """The anchors' plans with all networks in one."""
    (anchor,) = [branch.model for branch in trained if branch.key == "anchor"]
    joined = {branch.key: branch.joined for branch in trained}
    cases = mean_training_cases(cascade, "anchor")
    settings = _tuned_settings(anchor.settings, joined, cases, overrides)
    plans = deepcopy(anchor)
    plans.configuration["batch_size"] = settings.batch_size
    plans.configuration["architecture"] = {
        "network_class_name": "soars_nnunet.networks.cascade.CascadeNetwork",
        "arch_kwargs": {
            "branches": _networks(trained, anchor),
            "guided": [branch.key for branch in trained if branch.model.settings.guidance],
            "trained": list(settings.fine_tuned),
        },
        "_kw_requires_import": [],
    }
    plans.configuration["data_identifier"] = f"{name}_{CONFIGURATION}"
    plans.configuration[SETTINGS] = settings.to_json()
    plans.contents["dataset_name"] = cascade.source
    plans.contents["plans_name"] = name
    plans.contents["experiment_planner_used"] = FINE_TUNING_PLANNER
    return plans


def _tuned_settings(
    own: BranchSettings, joined: dict[str, JoinedBranch], cases: float, overrides: Sequence[str]
) -> BranchSettings:
    """The anchors' settings with the values of fine-tuning, and the user's.

    Args:
        own: Of the anchors.
        joined: The branches, by key.
        cases: Training cases of a fold, the mean over folds.
        overrides: ``KEY=VALUE`` regime values.
    """
    settings = fine_tuning_settings(own)
    if own.patches_per_volume and own == complete_passes(replace(own, iterations_per_epoch=None), cases):
        # passes, of whatever batch size is asked for
        settings = replace(settings, iterations_per_epoch=None)
    settings = override_settings(settings, overrides, TUNABLE)
    settings = complete_passes(settings, cases)
    require_fitting(settings)
    moved = set(settings.fine_tuned)
    guiding = set(joined) - {"small_hard"}
    if not moved <= set(FINE_TUNED) or not moved & guiding:
        raise InputError(
            f"fine_tuned: expected a list of some of {', '.join(joined)}, more than small_hard alone, "
            f"got {list(settings.fine_tuned)}"
        )
    in_order = tuple(key for key in joined if key in moved)
    return replace(settings, fine_tuned=in_order, cascade=joined)


def _networks(trained: Sequence[TrainedBranch], anchor: PlansFile) -> dict[str, dict[str, Any]]:
    """Arguments of every branch's P-HNN, by key.

    Raises:
        InputError: If a branch that works on the whole CT has another grid than the anchors.
    """
    networks = {}
    for branch in trained:
        grid = branch.model.grid_and_units
        if branch.key in ("mid_level", "detection") and grid != anchor.grid_and_units:
            raise InputError(
                f"{branch.key} works at {grid}, the anchors at {anchor.grid_and_units}: one graph needs one grid; "
                "retrain one of them as the other is"
            )
        networks[branch.key] = {
            **branch.model.configuration["architecture"]["arch_kwargs"],
            "input_channels": branch.model.settings.num_channels,
            "num_classes": 1 + len(branch.joined.classes),
        }
    return networks
