"""Fingerprint, nnU-Net plans and preprocessing of every branch whose inputs exist.

Run it again after each ``soars-channels``: it goes as far as the artifacts allow and says what is
missing. Plans are written as JSON because nnU-Net finds planners only inside itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.classes import branch_labels, partner_of
from soars_nnunet.cascade.manifest import write_manifest
from soars_nnunet.cascade.plans_file import SETTINGS, PlansFile
from soars_nnunet.cascade.record import DEFAULT_PLANS, FINE_TUNING_PLANNER, GUIDANCE_FACTS, TARGET_FACTS, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.geometry.organ_centers import organ_centers_mm
from soars_nnunet.geometry.reach import learn_reach, organ_spans, spans_of_both_sides
from soars_nnunet.geometry.sides import learn_sides
from soars_nnunet.guidance.channels import guidance_record
from soars_nnunet.guidance.crops import detection_of_crops
from soars_nnunet.networks.genotype import published_genotype, validate_genotype
from soars_nnunet.planning.planned_settings import complete_settings
from soars_nnunet.planning.plans_json import _fingerprint, _plans
from soars_nnunet.planning.sizes import NetworkSize, choose_size
from soars_nnunet.prediction.tiling import Tiling, tiling_options
from soars_nnunet.progress import Progress, silent
from soars_nnunet.settings.regime import load_regime

REMEMBERED = ("regime", "spacing_mm", "small_hard_spacing_mm", "guidance", "overrides", "genotypes")
"""Options that later runs for the same plans take up again unless they are given anew."""


@dataclass(frozen=True)
class PlanOptions:
    """Choices of the user for all branches.

    Attributes:
        regime: Name in ``plans/regimes.json``.
        plans_name: Name of the plans JSON; variants get their own.
        spacing_mm: (Z, Y, X) of Anchor, MidLevel and Detection; None for the median of the CTs.
        small_hard_spacing_mm: (Z, Y, X) of SmallHard; None for the median of the CTs.
        guidance: ``none`` leaves MidLevel, Detection and SmallHard with the CT alone (ablations of the paper's
            tables 1 and 2); SmallHard keeps its VOIs. ``in-sample`` trains MidLevel, which guides no other, with
            anchors that saw its cases; cross-validation judges it, not its training's validation.
        overrides: ``KEY=VALUE`` regime values.
        genotypes: Genotype by branch; the published ones by default.
        num_processes: Preprocessing workers.
    """

    regime: str = "paper"
    plans_name: str = "nnUNetPlans"
    spacing_mm: tuple[float, ...] | None = None
    small_hard_spacing_mm: tuple[float, ...] | None = None
    guidance: str = "anchor"
    overrides: tuple[str, ...] = ()
    genotypes: dict[str, list[str]] | None = None
    num_processes: int = 2


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
        ValueError: On a bad option, or if no branch can be planned.
    """
    from soars_nnunet.planning.preprocess import preprocess

    unknown = sorted(set(branches or ()) - set(cascade.datasets))
    if unknown:
        raise InputError(f"branches: expected some of {', '.join(cascade.datasets)}, got {', '.join(unknown)}")
    wanted = [branch for branch in cascade.networks if not branches or branch.key in branches]
    for path in (cascade.plans(branch.key, options.plans_name) for branch in wanted):
        if path.is_file() and read_json(path).get("experiment_planner_used") == FINE_TUNING_PLANNER:
            raise InputError(
                f"--plans-name {options.plans_name}: expected a new name, got a fine-tuning's; choose another"
            )
    planned = []
    for branch in wanted:
        channels, waiting = _inputs(cascade, branch.key, options)
        if waiting:
            progress(f"{branch.suffix}: waits for {waiting}")
            continue
        size, plans = _write_plans(cascade, branch.key, options, channels)
        progress(f"{branch.suffix}: {size.reason}")
        done = preprocess(cascade, branch.key, options.plans_name, channels, options.num_processes)
        _add_places(cascade, branch.key, options.plans_name, plans)
        settings = PlansFile(plans).settings
        progress(
            f"{branch.suffix}: {done}; "
            f"{settings.num_channels} channel(s), {settings.num_epochs} x {settings.iterations_per_epoch} "
            f"iterations; next: {cascade.train_command(branch.key, 0, options.plans_name)}"
        )
        planned.append(branch.key)
    if not planned:
        raise InputError("no branch could be planned: its inputs are missing, see the lines above")
    write_manifest(cascade, options.plans_name)
    write_json(cascade.options(options.plans_name), {name: getattr(options, name) for name in REMEMBERED})
    return planned


def _inputs(cascade: Cascade, branch: str, options: PlanOptions) -> tuple[Path | None, str | None]:
    """Channels folder for the preprocessor (None: images as they are), and what is still missing."""
    if BRANCHES[branch].guided_by is None or (branch != "small_hard" and options.guidance == "none"):
        return None, None
    guide = BRANCHES[branch].guided_by or ""
    in_sample = _is_in_sample(branch, options)
    guide_plans = cascade.plans_of(guide, options.plans_name)
    channels = cascade.channels(guide, guide_plans, in_sample)
    kind, option = ("in-sample", " --in-sample") if in_sample else ("out-of-fold", "")
    if not (channels / "provenance.json").is_file() or not _is_completed(cascade, branch, channels):
        return None, f"{kind} output of {BRANCHES[guide].suffix}: train all its folds, then run soars-channels{option}"
    made_from = read_json(channels / "provenance.json")
    present = guidance_record(cascade, guide, guide_plans)
    stale = [key for key in GUIDANCE_FACTS if made_from.get(key) != present[key]]
    command = f"soars-channels -d {cascade.source}{option}"
    if guide_plans != DEFAULT_PLANS:
        command += f" --plans-name {guide_plans}"
    command += tiling_options(Tiling.from_json(made_from.get("tiling", {})))
    if stale:
        raise MissingArtifactError(
            f"{channels}: made from another {', '.join(stale).replace('split_sha256', 'split')} of "
            f"{BRANCHES[guide].suffix} than the present one; rerun: {command}"
        )
    if branch != "small_hard":
        return channels, None
    crops = cascade.raw(branch)
    if read_json(crops / "dataset.json")["soars"].get("detection") != detection_of_crops(cascade, guide_plans):
        raise MissingArtifactError(
            f"{crops}: its crops were made by another detection than that of {guide_plans} (a dataset has one set of "
            f"crops); rerun: {command}"
        )
    return None, None


def _is_in_sample(branch: str, options: PlanOptions) -> bool:
    return branch == "mid_level" and options.guidance == "in-sample"


def _is_completed(cascade: Cascade, branch: str, channels: Path) -> bool:
    """Whether soars-channels has finished a guided dataset, under the present profile."""
    path = cascade.raw(branch) / "dataset.json"
    if not path.is_file() or (branch == "small_hard" and not (channels / TARGET_FACTS).is_file()):
        return False
    dataset_json = read_json(path)
    guides = [name for name, _ in branch_labels(cascade, BRANCHES[branch].guided_by or "")]
    classes = ["background", *(name for name, _ in branch_labels(cascade, branch))]
    return dataset_json["soars"]["guidance"] == guides and list(dataset_json["labels"]) == classes


def _write_plans(
    cascade: Cascade, branch: str, options: PlanOptions, channels: Path | None
) -> tuple[NetworkSize, dict[str, Any]]:
    dataset_json = read_json(cascade.raw(branch) / "dataset.json")
    if options.guidance == "none":
        dataset_json = _without_guidance(cascade, branch, dataset_json)
    folder = cascade.preprocessed(branch)
    geometry = _case_geometry(cascade, branch, dataset_json)
    settings = load_regime(options.regime, branch, options.overrides)
    wish = options.small_hard_spacing_mm if branch == "small_hard" else options.spacing_mm
    spacing = np.asarray(wish) if wish is not None else np.median([g[1] for g in geometry], axis=0)
    if spacing.shape != (3,) or not (np.isfinite(spacing) & (spacing > 0)).all():
        raise InputError(f"spacing: expected three positive numbers in mm (Z Y X), got {wish}")
    shapes = np.array([np.round(np.asarray(g[0]) * np.asarray(g[1]) / spacing) for g in geometry])
    shape = shapes.max(0) if branch == "small_hard" else np.median(shapes, axis=0)
    size = choose_size(tuple(shape), tuple(spacing), settings.max_patch_voxels, settings.max_patch_mm)
    settings = complete_settings(settings, cascade, branch, dataset_json)
    if _is_in_sample(branch, options):
        settings = replace(settings, in_sample=True)  # another design than out of fold
    genotype = (options.genotypes or {}).get(branch) or published_genotype(branch)
    validate_genotype(genotype)
    plans = _plans(cascade.datasets[branch], options.plans_name, spacing, geometry, shape, size, settings, genotype)

    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "dataset.json", dataset_json)
    write_json(folder / "dataset_fingerprint.json", _fingerprint(geometry, plans))
    write_json(cascade.plans(branch, options.plans_name), plans)
    return size, plans


def _add_places(cascade: Cascade, branch: str, plans_name: str, plans: dict[str, Any]) -> None:
    """Complete plans by where the training cases of each fold have the branch's organs.

    ``reach`` is relative to the anchors that guide the branch; an organ and its partner reach equally far, where the
    dataset has both sides of every paired organ. ``sides`` is how far apart left and right targets of detection are.
    """
    from soars_nnunet.cascade.stored_cases import load_preprocessed

    file, splits = PlansFile(plans), cascade.splits(branch)
    settings, soars, spacing_mm = file.settings, file.configuration[SETTINGS], file.spacing_mm
    has_reach, has_sides = branch != "small_hard" and bool(settings.guidance), branch == "detection"
    if not has_reach and not has_sides:
        return
    names = [name for name, _ in branch_labels(cascade, branch)]
    spans, centers_mm = {}, {}
    for case in sorted({case for split in splits for case in split["train"]}):
        data, labels, _ = load_preprocessed(cascade.data(branch, plans_name), case)
        if has_reach:
            spans[case] = organ_spans(data[1:], labels[0], spacing_mm, len(names))
        if has_sides:
            centers_mm[case] = organ_centers_mm(labels[0], [(row + 1,) for row in range(len(names))], spacing_mm)
    if has_sides:
        partners = [names.index(partner_of(cascade, name)) for name in names]
        soars["sides"] = [learn_sides(np.stack([centers_mm[c] for c in split["train"]]), partners) for split in splits]
    if has_reach:
        channels, classes = settings.mirror.channels, settings.mirror.classes
        if channels and classes:
            partners = [[index - 1 for index in order[1:]] for order in (channels, classes)]
            spans = {case: spans_of_both_sides(of, *partners) for case, of in spans.items()}
        soars["reach"] = [learn_reach([spans[case] for case in split["train"]]) for split in splits]
    write_json(cascade.plans(branch, plans_name), plans)


def _without_guidance(cascade: Cascade, branch: str, dataset_json: dict) -> dict:
    """dataset.json of a branch that sees the CT channel alone."""
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    cases = dataset_json.get("dataset") or get_filenames_of_train_images_and_targets(
        str(cascade.raw(branch)), dataset_json
    )
    listed = {case: {**files, "images": files["images"][:1]} for case, files in cases.items()}
    return {**dataset_json, "channel_names": {"0": "CT"}, "dataset": listed}


def _case_geometry(cascade: Cascade, branch: str, dataset_json: dict) -> list[tuple[list[int], list[float]]]:
    """Size and spacing (Z, Y, X) of every training CT in nnU-Net's frame, from the file headers alone."""
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    geometry = []
    for files in get_filenames_of_train_images_and_targets(str(cascade.raw(branch)), deepcopy(dataset_json)).values():
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(files["images"][0]))
        reader.ReadImageInformation()
        order = np.abs(np.reshape(reader.GetDirection(), (3, 3))).argmax(1)[::-1]
        geometry.append(
            ([reader.GetSize()[int(i)] for i in order], [float(reader.GetSpacing()[int(i)]) for i in order])
        )
    return geometry
