"""One label map of a case's contours, where the higher precedence keeps what two of them claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from soars_nnunet.errors import InputError
from soars_nnunet.images.label_map import count_labels
from soars_nnunet.importing.contours import Contours
from soars_nnunet.importing.findings import Finding
from soars_nnunet.importing.public_sets import Structure
from soars_nnunet.profile import Organ, Profile


@dataclass(frozen=True)
class Painted:
    """Contours of a case as one label map.

    Attributes:
        labels: (Z, Y, X) uint8 in the voxel order of the case's grid.
        not_annotated: Structures that nobody drew, in label order.
    """

    labels: np.ndarray
    not_annotated: list[str]


def paint(
    contours: Contours, structures: Sequence[Structure], profile: Profile, findings: list[Finding], *, case: str
) -> Painted:
    """Paint a case's contours, the higher precedence over the lower; where it is equal, the later label.

    Args:
        contours: Of the case; its grid is known.
        structures: To paint.
        profile: Of these: labels and precedences.
        findings: Receives overlaps, and what is missing, unusable, empty or covered.
        case: Name for the findings.
    """
    assert contours.grid is not None
    labels = np.zeros(contours.grid.GetSize()[::-1], np.uint8)
    by_name = {structure.name: structure for structure in structures}
    drawn_voxels: dict[int, int] = {}
    for organ in sorted(profile.organs, key=_painting_order):
        mask = _read(contours, by_name[organ.name], findings, case)
        if mask is None:
            continue
        below = np.bincount(labels[mask])
        drawn_voxels[organ.label] = int(below.sum())
        if not drawn_voxels[organ.label]:
            findings.append(Finding("empty", organ.name, case))
        findings += _overlaps(organ, below, profile, case)
        labels[mask] = organ.label
    left_voxels = count_labels(labels, len(structures))
    not_annotated = []
    for organ in profile.organs:
        if organ.label not in drawn_voxels:
            not_annotated.append(organ.name)
        elif drawn_voxels[organ.label] and not left_voxels[organ.label]:
            findings.append(Finding("covered", organ.name, case, drawn_voxels[organ.label]))
    return Painted(labels, not_annotated)


def _painting_order(organ: Organ) -> tuple[int, int]:
    return organ.precedence, organ.label


def _read(contours: Contours, structure: Structure, findings: list[Finding], case: str) -> np.ndarray | None:
    """Mask (Z, Y, X) of a structure; None, and a finding, where nobody drew it or its files are unusable."""
    try:
        mask = contours.mask(structure)
    except InputError as error:
        findings.append(Finding("unusable", f"{structure.name}: {error}", case))
        return None
    if mask is None:
        findings.append(Finding("missing", structure.name, case))
    return mask


def _overlaps(organ: Organ, below: np.ndarray, profile: Profile, case: str) -> list[Finding]:
    """What an organ is painted over, from the voxels of each label below it."""
    by_label = {other.label: other for other in profile.organs}
    found = []
    for label in np.flatnonzero(below[1:]) + 1:
        under = by_label[int(label)]
        tie = " (same precedence: the later label)" if under.precedence == organ.precedence else ""
        found.append(Finding("overlap", f"{organ.name} over {under.name}{tie}", case, int(below[label])))
    return found
