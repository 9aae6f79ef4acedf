"""What the files of a training say about it: how long it took, on which split, and how many patients it learnt from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.case_names import patient_of
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import CHECKPOINT, Cascade
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.checkpoint import load_checkpoint

DEBUG = "debug.json"
"""What nnU-Net notes of a trainer when it starts; of it only the device is read."""

SECONDS_PER_HOUR = 3600.0

SAME_CASES = ("anchor", "mid_level", "detection")
"""Branches whose cases have the same names, so that equal splits have equal hashes; small & hard has crops."""


@dataclass(frozen=True)
class Training:
    """One training.

    Attributes:
        branch: Key of the branch.
        fold: Number of the fold.
        epochs: That were trained.
        steps: That were trained; None if the plans do not say.
        ended: Day of the last epoch's end, UTC, as ``2026-11-28``; empty if the log does not say.
        hours: Of all epochs together; None if the log does not say.
        device: Where it was trained: a GPU's name, or "cpu"; empty if that is not known.
        parameters: Numbers that were learnt.
        split_sha256: Hash of the split in the plans that it was started with; None if they do not say.
    """

    branch: str
    fold: int
    epochs: int
    steps: int | None
    ended: str
    hours: float | None
    device: str
    parameters: int
    split_sha256: str | None


def read_training(branch: str, fold: int, folder: Path) -> Training:
    """Facts of a training out of its checkpoint.

    Args:
        branch: Key of the branch.
        fold: Number of the fold.
        folder: Of the model.

    Raises:
        MissingArtifactError: If the checkpoint is missing or unreadable.
    """
    checkpoint = load_checkpoint(folder / f"fold_{fold}" / CHECKPOINT)
    plans = PlansFile(_plans_of(checkpoint) or PlansFile.read(folder / "plans.json").contents)
    log = checkpoint.get("logging") or {}
    starts, ends = log.get("epoch_start_timestamps", []), log.get("epoch_end_timestamps", [])
    epochs = int(checkpoint.get("current_epoch", len(ends)))
    iterations = plans.settings.iterations_per_epoch
    parameters = 0
    for name, tensor in checkpoint["network_weights"].items():
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")):
            parameters += tensor.numel()
    return Training(
        branch=branch,
        fold=fold,
        epochs=epochs,
        steps=None if iterations is None else epochs * iterations,
        ended=_day(ends),
        hours=_hours(starts, ends),
        device=_device(folder / f"fold_{fold}" / DEBUG),
        parameters=parameters,
        split_sha256=plans.split_sha256,
    )


def _plans_of(checkpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    """Plans that a training was started with; None in checkpoints without them."""
    arguments = checkpoint.get("init_args")
    plans = arguments.get("plans") if isinstance(arguments, dict) else None
    return plans if isinstance(plans, dict) else None


def _day(ends: Sequence[float]) -> str:
    if not ends:
        return ""
    return datetime.fromtimestamp(float(max(ends)), timezone.utc).date().isoformat()


def _hours(starts: Sequence[float], ends: Sequence[float]) -> float | None:
    """Time of all epochs; breaks between them do not count."""
    if not ends or len(starts) != len(ends):
        return None
    seconds = sum(end - start for start, end in zip(starts, ends, strict=True))
    return float(seconds) / SECONDS_PER_HOUR


def _device(path: Path) -> str:
    """Device in nnU-Net's notes: of its last start, where a training was continued."""
    try:
        notes = read_json(path)
    except MissingArtifactError:
        return ""
    if not isinstance(notes, dict):
        return ""
    device = str(notes.get("device", ""))
    return str(notes.get("gpu_name", device)) if device.startswith("cuda") else device


def require_one_split(manifest: Manifest, trainings: Sequence[Training], present: Mapping[str, str]) -> None:
    """Check that all folds of all branches were trained on one split: else no fold is held out of all networks.

    Args:
        manifest: Of the cascade.
        trainings: Of all branches and folds.
        present: Hash of the present split by branch; empty where it is not known.

    Raises:
        MissingArtifactError: Naming all folds that differ.
    """
    expected: dict[str, str | None] = {}
    for branch, split_sha256 in present.items():
        expected[_group(branch)] = split_sha256
    for training in trainings:
        if training.split_sha256 is not None:
            expected.setdefault(_group(training.branch), training.split_sha256)
    odd = []
    for training in trainings:
        if training.split_sha256 not in (None, expected.get(_group(training.branch))):
            odd.append(f"{training.branch} fold {training.fold}")
    if odd:
        raise MissingArtifactError(
            f"{manifest.source}: expected all folds of all branches trained on one split, got another one at "
            f"{', '.join(odd)}; retrain them after soars-plan, or restore the split"
        )
    shapes = {branch.training_patients for branch in manifest.branches.values()}
    if len(shapes) > 1:
        raise MissingArtifactError(
            f"{manifest.source}: expected the same training patients in every branch of the manifest, got others; "
            "rerun soars-plan"
        )


def _group(branch: str) -> str:
    """Branches of one group have the same cases, hence splits of the same hash."""
    return "anchor" if branch in SAME_CASES else branch


@dataclass(frozen=True)
class OrganPatients:
    """Patients in whom an organ is annotated.

    Attributes:
        organ: Name in the profile.
        patients: Of all folds together.
        by_fold: That each fold trains on.
    """

    organ: str
    patients: int
    by_fold: tuple[int, ...]


def patients_by_organ(cascade: Cascade) -> tuple[OrganPatients, ...]:
    """In how many training patients each organ is annotated, as its contours are there.

    Args:
        cascade: The stratified dataset.

    Returns:
        In the profile's order, organs of the dataset only.
    """
    splits = cascade.splits()
    rows = []
    for organ in cascade.profile.organs:
        if organ.name not in cascade.labels:
            continue
        drawn = [case for case in cascade.cases if _is_drawn(cascade, case, organ.name)]
        by_fold = [len(_patients(cascade, set(drawn) & set(split["train"]))) for split in splits]
        rows.append(OrganPatients(organ.name, len(_patients(cascade, drawn)), tuple(by_fold)))
    return tuple(rows)


def _is_drawn(cascade: Cascade, case: str, organ: str) -> bool:
    return organ not in cascade.not_annotated.get(case, ()) and organ not in cascade.empty.get(case, ())


def _patients(cascade: Cascade, cases: Sequence[str] | set[str]) -> set[str]:
    return {patient_of(case, cascade.patient_pattern) or case for case in cases}
