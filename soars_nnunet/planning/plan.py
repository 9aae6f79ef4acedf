"""Fingerprint, nnU-Net plans and preprocessing of every branch whose inputs exist.

Run it again after each ``soars-channels``: it goes as far as the artifacts allow and says what is
missing. Plans are written as JSON because nnU-Net finds planners only inside itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from soars_nnunet.branches import Branch
from soars_nnunet.cascade.classes import branch_labels, numbered_labels
from soars_nnunet.cascade.dataset_json import check_branch_dataset
from soars_nnunet.cascade.manifest import write_manifest
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import DEFAULT_PLANS, FINE_TUNING_PLANNER, Cascade
from soars_nnunet.cascade.source_files import require_unchanged
from soars_nnunet.cascade.storage import read_object, write_json
from soars_nnunet.cascade.trained import NO_GPU, next_training, training_device
from soars_nnunet.errors import InputError, did_you_mean_each
from soars_nnunet.networks.genotype import published_genotype, validate_genotype
from soars_nnunet.planning.bundle_start import TakenBranch, take_branches
from soars_nnunet.planning.case_geometry import network_spacing_mm, read_geometries, shapes_at
from soars_nnunet.planning.first_weights import describe_scratch, describe_start, write_first_weights
from soars_nnunet.planning.inputs import Inputs, find_inputs
from soars_nnunet.planning.options import PlanOptions
from soars_nnunet.planning.places import learn_places
from soars_nnunet.planning.planned_settings import complete_settings
from soars_nnunet.planning.plans_json import PlannedNetwork, fingerprint_json, plans_json
from soars_nnunet.planning.remembered import remember
from soars_nnunet.planning.sizes import choose_size
from soars_nnunet.progress import Progress, silent
from soars_nnunet.schemas.node import checked
from soars_nnunet.settings.regime import load_regime
from soars_nnunet.stratification.anatomy_of_cases import with_anatomy


def plan(
    cascade: Cascade,
    options: PlanOptions,
    branches: Sequence[str] | None = None,
    progress: Progress = silent,
) -> list[str]:
    """Plan and preprocess the branches whose inputs exist; returns their keys.

    Args:
        cascade: The stratified dataset.
        options: The user's choices.
        branches: Only these; by default all of the cascade.
        progress: Receives one line per decision.

    Raises:
        InputError: On a bad option, or if no branch can be planned.
        MissingArtifactError: If CTs or label maps changed since stratification.
    """
    wanted = _wanted_branches(cascade, branches)
    require_unchanged(cascade)
    if cascade.left_out:
        progress(f"warning: {cascade.source}: stratified without {', '.join(cascade.left_out)}")
    _require_free_name(cascade, wanted, options.plans_name)
    taken = take_branches(cascade, wanted, options)
    planned = []
    for branch in wanted:
        inputs = find_inputs(cascade, branch.key, options)
        if inputs.missing:
            progress(f"{branch.suffix}: waits for {inputs.missing}")
            continue
        _plan_branch(cascade, branch, options, inputs, taken=taken.get(branch.key), progress=progress)
        planned.append(branch.key)
    if not planned:
        raise InputError("no branch could be planned: its inputs are missing, see the lines above")
    remember(cascade, options)
    write_manifest(with_anatomy(cascade, progress), options.plans_name)
    if training_device() != "cuda":
        progress(NO_GPU)
    return planned


def _wanted_branches(cascade: Cascade, branches: Sequence[str] | None) -> list[Branch]:
    unknown = sorted(set(branches or ()) - set(cascade.datasets))
    if unknown:
        question = did_you_mean_each(unknown, cascade.datasets)
        raise InputError(
            f"--branches: expected some of {', '.join(cascade.datasets)}, got {', '.join(unknown)}{question}"
        )
    return [branch for branch in cascade.networks if not branches or branch.key in branches]


def _require_free_name(cascade: Cascade, branches: Sequence[Branch], plans_name: str) -> None:
    """Check that plans of a fine-tuning are not planned over."""
    for branch in branches:
        path = cascade.plans(branch.key, plans_name)
        if path.is_file() and read_object(path).get("experiment_planner_used") == FINE_TUNING_PLANNER:
            raise InputError(f"--plans-name {plans_name}: expected a new name, got a fine-tuning's; choose another")


def _plan_branch(
    cascade: Cascade,
    branch: Branch,
    options: PlanOptions,
    inputs: Inputs,
    *,
    taken: TakenBranch | None,
    progress: Progress,
) -> None:
    """Write a branch's plans, preprocess its cases, and complete the plans by what these show."""
    from soars_nnunet.planning.preprocess import preprocess

    network = _planned_network(cascade, branch.key, options, taken)
    if options.from_bundle is not None:
        network, line = _start_from_bundle(cascade, options, network, taken)
        progress(f"{branch.suffix}: {line}")
    _write_plans(cascade, branch.key, options, network)
    progress(f"{branch.suffix}: {network.size.reason}")
    done = preprocess(cascade, branch.key, options.plans_name, inputs.channels, num_processes=options.num_processes)
    learn_places(cascade, branch.key, options.plans_name)
    if options.plans_name == DEFAULT_PLANS:
        write_json(cascade.training_plans(branch.key), read_object(cascade.plans(branch.key, DEFAULT_PLANS)))
    settings = PlansFile.read(cascade.plans(branch.key, options.plans_name)).settings
    progress(
        f"{branch.suffix}: {done}; "
        f"{settings.num_channels} channel(s), {settings.num_epochs} x {settings.iterations_per_epoch} "
        f"iterations; {next_training(cascade, branch.key, options.plans_name)}"
    )


def _planned_network(cascade: Cascade, branch: str, options: PlanOptions, taken: TakenBranch | None) -> PlannedNetwork:
    dataset_json = _dataset_json(cascade, branch, options)
    settings = load_regime(options.regime, branch, options.overrides)
    if taken is not None:
        settings = taken.settings(settings, options.overrides)
    geometries = read_geometries(cascade, branch, dataset_json)
    spacing_mm = network_spacing_mm(geometries, taken.spacing_mm if taken else options.spacing_of(branch))
    shapes = shapes_at(geometries, spacing_mm)
    # a VOI has to fit into the patch whole
    shape = shapes.max(0) if branch == "small_hard" else np.median(shapes, axis=0)
    size = choose_size(tuple(shape), tuple(spacing_mm), settings.max_patch_voxels, settings.max_patch_mm)
    settings = complete_settings(settings, cascade, branch, dataset_json)
    if options.is_in_sample(branch):
        settings = replace(settings, in_sample=True)  # another design than out of fold
    genotype = (options.genotypes or {}).get(branch) or published_genotype(branch)
    if taken is not None and taken.folds:
        genotype = taken.architecture["genotype"]
        size = taken.size(size, branch, options.overrides)
    validate_genotype(genotype)
    return PlannedNetwork(
        dataset_json=dataset_json,
        geometries=geometries,
        spacing_mm=spacing_mm,
        shape=shape,
        size=size,
        settings=settings,
        genotype=list(genotype),
    )


def _start_from_bundle(
    cascade: Cascade, options: PlanOptions, network: PlannedNetwork, taken: TakenBranch | None
) -> tuple[PlannedNetwork, str]:
    """Write the first weights, if the bundle has some; returns the network with their record, and what was taken."""
    settings = network.settings
    branch = settings.branch
    if taken is None or not taken.folds:
        return network, describe_scratch(taken, str(options.from_bundle), branch)
    plans = plans_json(cascade.datasets[branch], options.plans_name, network)
    classes = [name for name, _ in branch_labels(cascade, branch)]
    start = write_first_weights(cascade, taken, plans, settings=settings, classes=classes)
    settings = replace(settings, start=start)
    return replace(network, settings=settings), describe_start(start, taken, settings)


def _write_plans(cascade: Cascade, branch: str, options: PlanOptions, network: PlannedNetwork) -> None:
    folder = cascade.preprocessed(branch)
    folder.mkdir(parents=True, exist_ok=True)
    plans = plans_json(cascade.datasets[branch], options.plans_name, network)
    if options.plans_name == DEFAULT_PLANS:
        cascade.training_plans(branch).unlink(missing_ok=True)  # never other than the plans, also if interrupted
    write_json(folder / "dataset.json", network.dataset_json)
    write_json(folder / "dataset_fingerprint.json", fingerprint_json(network, plans))
    write_json(cascade.plans(branch, options.plans_name), plans)


def _dataset_json(cascade: Cascade, branch: str, options: PlanOptions) -> dict[str, Any]:
    """dataset.json of a branch; of the CT channel alone where it is to be planned without guidance."""
    path = cascade.raw(branch) / "dataset.json"
    dataset_json = read_object(path)
    labels = numbered_labels(cascade, branch)
    advice = f"soars_cascade.json says otherwise: run soars-stratify -d {cascade.source} again"
    checked(dataset_json, str(path), lambda node: check_branch_dataset(node, labels), advice=advice)
    if options.guidance != "none":
        return dataset_json
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    cases = dataset_json.get("dataset")
    if not cases:
        cases = get_filenames_of_train_images_and_targets(str(cascade.raw(branch)), dataset_json)
    listed = {}
    for case, files in cases.items():
        listed[case] = {**files, "images": files["images"][:1]}
    return {**dataset_json, "channel_names": {"0": "CT"}, "dataset": listed}
