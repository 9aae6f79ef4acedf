"""Which organs and targets a branch's labels mean."""

from __future__ import annotations

from collections.abc import Sequence

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.record import (
    Cascade,
)


def target_labels(cascade: Cascade) -> dict[str, tuple[int, ...]]:
    """Source labels of each detection target's organs."""
    return {name: tuple(cascade.labels[o] for o in organs) for name, organs in branch_labels(cascade, "detection")}


def partner_of(cascade: Cascade, target: str) -> str:
    """Detection target on the other side; itself on the midline, or where the dataset lacks the other."""
    mirrored = cascade.profile.mirrored(target)
    return mirrored if mirrored in target_labels(cascade) else target


READER = "SimpleITKIOWithReorient"


def branch_labels(cascade: Cascade, branch: str) -> list[tuple[str, list[str]]]:
    """Foreground classes of a branch in label order (1, 2, ...), each with the organs that it unites.

    Anchor, MidLevel and SmallHard have one class an organ; Detection has one a target. Organs that
    the source dataset lacks are left out.
    """
    organs = [o for o in cascade.profile.tier(BRANCHES[branch].tier) if o.name in cascade.labels]
    if branch != "detection":
        return [(organ.name, [organ.name]) for organ in organs]
    targets: dict[str, list[str]] = {}
    for organ in organs:
        targets.setdefault(organ.target or organ.name, []).append(organ.name)
    return list(targets.items())


def branch_dataset_json(cascade: Cascade, branch: str, channels: Sequence[str], num_cases: int, ending: str) -> dict:
    """dataset.json of a branch; guidance channels are 0 to 1 and named for nnU-Net's NoNormalization."""
    return {
        "channel_names": {"0": "CT", **{str(i): "noNorm" for i in range(1, len(channels) + 1)}},
        "labels": {"background": 0, **{name: i for i, (name, _) in enumerate(branch_labels(cascade, branch), 1)}},
        "numTraining": num_cases,
        "file_ending": ending,
        "overwrite_image_reader_writer": READER,
        "soars": {"branch": branch, "source": cascade.source, "guidance": list(channels)},
    }
