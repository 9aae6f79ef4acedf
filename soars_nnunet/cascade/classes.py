"""Which organs and detection targets the labels of a branch mean, and the dataset.json that says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.record import Cascade

IGNORE = "ignore"
"""nnU-Net's name of the label of voxels that nobody judged."""

READER = "SimpleITKIOWithReorient"
"""nnU-Net's reader that brings every orientation to one."""


class BranchClass(NamedTuple):
    """A foreground class of a branch: its name, and the organs that it unites."""

    name: str
    organs: list[str]


def branch_labels(cascade: Cascade, branch: str) -> list[BranchClass]:
    """Foreground classes of a branch in label order (1, 2, ...).

    Anchor, MidLevel and SmallHard have one class an organ; Detection has one a target. Organs that
    the source dataset lacks are left out.
    """
    organs = [organ for organ in cascade.profile.tier(BRANCHES[branch].tier) if organ.name in cascade.labels]
    members: dict[str, list[str]] = {}
    for organ in organs:
        name = organ.target if branch == "detection" and organ.target else organ.name
        members.setdefault(name, []).append(organ.name)
    return [BranchClass(name, names) for name, names in members.items()]


def ignore_class(cascade: Cascade, branch: str) -> int | None:
    """Label of a branch's voxels that nobody judged: the one above its classes, as nnU-Net wants it.

    None where the source dataset has no such voxels, and for detection, which learns centres and not voxels.
    """
    if cascade.ignore is None or branch == "detection":
        return None
    return len(branch_labels(cascade, branch)) + 1


def numbered_labels(cascade: Cascade, branch: str) -> dict[str, int]:
    """Label by name as a branch's dataset.json has them: background, the classes, ignore where there is such."""
    labels = {"background": 0}
    for value, (name, _) in enumerate(branch_labels(cascade, branch), 1):
        labels[name] = value
    ignored = ignore_class(cascade, branch)
    if ignored is not None:
        labels[IGNORE] = ignored
    return labels


def without_ignore_label(labels: Any) -> Any:
    """A dataset.json's labels without nnU-Net's ignore label, for which a network has no output; else unchanged."""
    if not isinstance(labels, dict) or IGNORE not in labels:
        return labels
    return {name: value for name, value in labels.items() if name != IGNORE}


def target_labels(cascade: Cascade) -> dict[str, tuple[int, ...]]:
    """Source labels of each detection target's organs."""
    labels = {}
    for name, organs in branch_labels(cascade, "detection"):
        labels[name] = tuple(cascade.labels[organ] for organ in organs)
    return labels


def partner_of(cascade: Cascade, target: str) -> str:
    """Detection target on the other side; itself on the midline, or where the dataset lacks the other."""
    mirrored = cascade.profile.mirrored(target)
    return mirrored if mirrored in target_labels(cascade) else target


def branch_dataset_json(
    cascade: Cascade, branch: str, channels: Sequence[str], *, num_cases: int, ending: str
) -> dict[str, Any]:
    """dataset.json of a branch.

    Args:
        cascade: The stratified dataset.
        branch: Key of the branch.
        channels: Names of the guidance channels, which are 0 to 1 and named for nnU-Net's NoNormalization.
        num_cases: Of training.
        ending: Of image and label files.
    """
    channel_names = {"0": "CT"}
    for index, _ in enumerate(channels, 1):
        channel_names[str(index)] = "noNorm"
    return {
        "channel_names": channel_names,
        "labels": numbered_labels(cascade, branch),
        "numTraining": num_cases,
        "file_ending": ending,
        "overwrite_image_reader_writer": READER,
        "soars": {"branch": branch, "source": cascade.source, "guidance": list(channels)},
    }
