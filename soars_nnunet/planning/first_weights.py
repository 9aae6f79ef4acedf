"""Weights that a branch's trainings start from, out of a bundle, written beside its plans."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import file_hash, replacing, write_json
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.networks.transfer import Layout, transfer_weights
from soars_nnunet.planning.bundle_start import TakenBranch
from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.bundle_start import BundleStart, FirstWeights


def write_first_weights(
    cascade: Cascade,
    taken: TakenBranch,
    plans: dict[str, Any],
    *,
    settings: BranchSettings,
    classes: Sequence[str],
) -> BundleStart:
    """Write the first weights of every fold; returns what the plans say of them.

    The same bundle and settings give the same files.

    Args:
        cascade: The stratified dataset.
        taken: What the branch takes; with folds.
        plans: nnU-Net's plans of the branch, with its architecture.
        settings: Of the branch, complete.
        classes: Its foreground classes in label order.

    Raises:
        MissingArtifactError: If the bundle is damaged.
    """
    branch, name = settings.branch, plans["plans_name"]
    (configuration,) = plans["configurations"].values()
    arguments = configuration["architecture"]["arch_kwargs"]
    described = taken.bundle.manifest.branches[taken.source]
    layout = _layout(settings.guidance, classes, arguments)
    old_layout = _layout(described.guidance, described.classes, taken.architecture)
    stored = taken.bundle.branch(taken.source)
    written = []
    seen = []
    for fold, of_bundle in enumerate(taken.folds):
        new = _new_network(arguments, settings, fold, 1 + len(classes))
        weights = transfer_weights(new.state_dict(), stored.weights(of_bundle), layout, old_layout)
        path = cascade.first_weights(branch, name, fold)
        with replacing(path) as temporary:
            save_file({key: value.contiguous() for key, value in weights.items()}, temporary)
        written.append(FirstWeights(file=path.name, sha256=file_hash(path), fold=of_bundle))
        seen.append(sorted(taken.bundle.manifest.trained_on(taken.source, [of_bundle])))
    patients = cascade.first_patients(branch, name)
    write_json(patients, seen)
    return BundleStart(
        bundle=taken.bundle.name,
        sha256=taken.bundle.bundle.sha256,
        branch=taken.source,
        kept=tuple(one for one in classes if one in described.classes),
        added=tuple(one for one in classes if one not in described.classes),
        patients=patients.name,
        folds=tuple(written),
    )


def _layout(guidance: Sequence[str], classes: Sequence[str], arguments: dict[str, Any]) -> Layout:
    outputs = tuple(classes)
    if arguments.get("constant_background") is None:
        outputs = ("background", *outputs)
    return Layout(inputs=("CT", *guidance), outputs=outputs)


def _new_network(arguments: dict[str, Any], settings: BranchSettings, fold: int, num_classes: int) -> PHNN:
    """A network with new weights, the same each time: what the bundle does not know stays as it is here."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed((settings.seed or 0) + fold)
        network = PHNN(input_channels=settings.num_channels, num_classes=num_classes, **arguments)
        network.apply(network.initialize)
    return network


def describe_start(start: BundleStart, taken: TakenBranch, settings: BranchSettings) -> str:
    """One line: whose weights, and which organs and guidance channels they know."""
    described = taken.bundle.manifest.branches[start.branch]
    whose = start.bundle
    if start.branch != settings.branch:
        whose += f"'s {BRANCHES[start.branch].suffix}"
    used = [str(one.fold) for one in start.folds]
    noun = "targets" if settings.branch == "detection" else "organs"
    parts = [f"weights of {whose}, fold{'s' if len(used) > 1 else ''} {' '.join(used)}"]
    parts.append(_counted(start, noun))
    dropped = [one for one in described.classes if one not in start.kept]
    if dropped:
        parts.append(f"without {', '.join(dropped)}")
    added = [one for one in settings.guidance if one not in described.guidance]
    if added:
        parts.append(f"{len(added)} of {len(settings.guidance)} guidance channels new")
    parts.append(f"initial_lr {settings.initial_lr:g}")
    first, *others = parts
    return f"{first}: {'; '.join(others)}"


def _counted(start: BundleStart, noun: str) -> str:
    total = len(start.kept) + len(start.added)
    if not start.added:
        return f"{total} of {total} {noun} kept"
    return f"{len(start.kept)} of {total} {noun} by name, {len(start.added)} new: {', '.join(start.added)}"


def describe_scratch(taken: TakenBranch | None, bundle: str, branch: str) -> str:
    """One line for a branch that takes no weights.

    Args:
        taken: The grid that it takes; None for nothing at all.
        bundle: Name or path of the bundle.
        branch: Key of the branch.
    """
    reason = f"starts from scratch: {Path(bundle).name} has no {BRANCHES[branch].suffix}"
    if taken is None:
        return reason
    return f"{reason}; on the grid of its anchors, {taken.plans.grid_and_units}"
