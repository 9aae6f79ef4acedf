"""Checks of trained models: which folds there are, on which split and grid they were trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from soars_nnunet.cascade.classes import branch_labels, without_ignore_label
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import CHECKPOINT, Cascade
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import MissingArtifactError

MAX_SHOWN = 4
"""Classes that a message names."""


def trained_folds(model_folder: Path) -> list[int]:
    """Numbered folds in a model folder that hold a final checkpoint, ascending; empty if there are none."""
    folds = []
    for path in model_folder.glob(f"fold_*/{CHECKPOINT}"):
        fold = path.parent.name.removeprefix("fold_")
        if fold.isdigit():
            folds.append(int(fold))
    return sorted(folds)


def training_device() -> str:
    """Where a training can run here: cuda, mps or cpu; loads torch."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def training_command(cascade: Cascade, branch: str, fold: int, plans: str) -> str:
    """The command that trains a fold on this machine: nnU-Net takes an NVIDIA GPU for granted unless it is told."""
    device = training_device()
    command = cascade.train_command(branch, fold, plans)
    return command if device == "cuda" else f"{command} -device {device}"


def next_training(cascade: Cascade, branch: str, plans: str) -> str:
    """What is to be trained next of a branch: the command of the first fold that is not trained, and the other folds.

    Folds of an earlier training count as trained; where its plans differ, the trainer refuses to mix them.
    """
    # all branches in one graph have no split of their own
    folds = range(len(cascade.splits("anchor" if branch == "fine_tune" else branch)))
    trained = trained_folds(cascade.model(branch, plans))
    left = [fold for fold in folds if fold not in trained]
    if not left:
        return f"all {len(folds)} folds are trained"
    command = training_command(cascade, branch, left[0], plans)
    if len(left) == 1:
        return f"next: {command}"
    others = " ".join(str(fold) for fold in left[1:])
    return f"next: {command}, and the same for fold{'s' if len(left) > 2 else ''} {others}"


NO_GPU = (
    "PyTorch finds no NVIDIA GPU here, hence -device in the commands above: without it nnU-Net ends with an error; "
    "leave it out on a machine that has one"
)
"""Said once after commands that name a device."""


def require_folds(cascade: Cascade, branch: str, plans: str, folds: Sequence[int] | None = None) -> None:
    """Check that folds of the split are trained: all of them, or only some.

    Raises:
        MissingArtifactError: Naming the missing folds and their commands, or folds that the split lacks.
    """
    known = list(range(len(cascade.splits())))
    wanted = known if folds is None else folds
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise MissingArtifactError(f"folds: expected some of {known}, got {unknown}")
    model = cascade.model(branch, plans)
    missing = sorted(set(wanted) - set(trained_folds(model)))
    if missing:
        commands = "; ".join(training_command(cascade, branch, fold, plans) for fold in missing)
        raise MissingArtifactError(
            f"{cascade.datasets[branch]}: expected the models of every fold asked for, but fold(s) {missing} have no "
            f"{CHECKPOINT} in {model} (fold 'all' cannot stand in); run: {commands}"
        )


def require_same_split(cascade: Cascade, branch: str, plans: str) -> None:
    """Check that a branch was trained on the present split.

    Raises:
        MissingArtifactError: If not: its validation cases may have been in its training.
    """
    model = cascade.model(branch, plans)
    if PlansFile.read(model / "plans.json").split_sha256 != cascade.split_hash(branch):
        raise MissingArtifactError(
            f"{model}: trained on another split than {cascade.preprocessed(branch) / 'splits_final.json'}; "
            "retrain its folds after soars-plan, or restore the split"
        )


def require_same_grid(cascade: Cascade, branch: str, plans: str) -> None:
    """Check that a branch was trained at the spacing and CT unit at which its cases are preprocessed now.

    Raises:
        MissingArtifactError: If not.
    """
    model = cascade.model(branch, plans)
    trained = PlansFile.read(model / "plans.json").grid_and_units
    planned = PlansFile.read(cascade.plans(branch, plans)).grid_and_units
    if trained != planned:
        raise MissingArtifactError(
            f"{model}: trained at {trained}, its cases are now preprocessed at {planned}; "
            "rerun soars-plan with the former --spacing, hu_per_unit and low_pass_ratio, or retrain the folds"
        )


def require_same_classes(cascade: Cascade, branch: str, plans: str) -> None:
    """Check that a branch was trained on the classes that the present profile and dataset give it.

    Raises:
        MissingArtifactError: If not: its output would be taken for other organs.
    """
    path = cascade.model(branch, plans) / "dataset.json"
    labels = without_ignore_label(read_json(path)["labels"])
    trained = [name for name in sorted(labels, key=labels.__getitem__) if labels[name]]
    present = [name for name, _ in branch_labels(cascade, branch)]
    if trained != present:
        other = sorted(set(trained) ^ set(present)) or trained
        raise MissingArtifactError(
            f"{path}: expected the classes of profile {cascade.profile.name} ({len(present)}, in its order), got "
            f"{len(trained)} of another stratification, other in {', '.join(other[:MAX_SHOWN])}; retrain the folds, or "
            "stratify as before"
        )
