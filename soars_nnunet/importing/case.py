"""One case of a public set as a CT and an exclusive label map, with everything odd noted."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet.cascade.storage import replacing
from soars_nnunet.errors import InputError
from soars_nnunet.images.ct_check import check_ct
from soars_nnunet.images.sides import check_sides
from soars_nnunet.importing.contours import Contours
from soars_nnunet.importing.findings import Finding
from soars_nnunet.importing.public_sets import CaseFiles, PublicSet, Structure
from soars_nnunet.profile import Organ, Profile

ENDING = ".nii.gz"

LONE_MARGIN_MM = 5.0
"""An organ without its partner must lie this far on the wrong side to be refused: esophagus and larynx are
seldom exactly in the middle, and heads are turned."""


@dataclass
class ImportedCase:
    """What became of one case.

    Attributes:
        name: Case name in the written dataset.
        ct: The CT in HU, or None.
        labels: Label map on the same grid, uint8.
        voxels: By structure, after overlaps are resolved; only drawn ones.
        undrawn: Structures that nobody drew, in label order.
        findings: Everything odd.
    """

    name: str
    ct: sitk.Image | None
    labels: sitk.Image
    voxels: dict[str, int]
    undrawn: list[str]
    findings: list[Finding] = field(default_factory=list)


def as_profile(structures: Sequence[Structure], precedence: Mapping[str, int]) -> Profile:
    """Profile of the written structures, labelled 1, 2, ... in order; mirror partners by the ``_L``/``_R`` suffix."""
    names = {structure.name for structure in structures}
    organs = []
    for label, structure in enumerate(structures, 1):
        stem, side = structure.name[:-2], structure.name[-2:]
        other = f"{stem}{'_R' if side == '_L' else '_L'}"
        mirror = other if side in ("_L", "_R") and other in names else None
        organ = Organ(structure.name, label, structure.name, "anchor", mirror, precedence=precedence[structure.name])
        organs.append(organ)
    return Profile("import", tuple(organs))


def read_case(
    table: PublicSet, case: CaseFiles, structures: Sequence[Structure], profile: Profile, without_ct: bool
) -> ImportedCase:
    """Read a case, resolve overlaps and check its sides.

    Args:
        table: The set.
        case: Its files.
        structures: To write, in label order.
        profile: Of these (``as_profile``).
        without_ct: Take the case also without a CT.

    Raises:
        InputError: If the case cannot be used as a whole: no CT or no contour, a CT that is none, a
            label map on another grid, or organs on the wrong sides.
    """
    if not case.ct and not without_ct:
        raise InputError("no CT; complete the set, or import the label map alone with --without-ct")
    findings: list[Finding] = []
    contours = Contours(table, case, lambda kind, text: findings.append(Finding(kind, text, case.name)))
    if contours.ct is not None:
        check_ct(contours.ct, "the CT")
    elif contours.grid is not None:
        findings.append(Finding("no_ct", "no CT", case.name))
    if contours.grid is None:
        raise InputError("no contour that can be read")
    labels, undrawn = _paint(contours, structures, profile, findings, case.name)
    count = count_labels(labels, len(structures))
    if not count[1:].any():
        raise InputError("no contour of any structure that is to be written")
    image = sitk.GetImageFromArray(labels)
    image.CopyInformation(contours.grid)
    organs = {organ.name: organ.label for organ in profile.organs}
    check_sides(labels, image, organs, profile, "sides")
    check_lone_sides(labels, image, profile)
    voxels = {organ.name: int(count[organ.label]) for organ in profile.organs if organ.name not in undrawn}
    return ImportedCase(case.name, contours.ct, image, voxels, undrawn, findings)


def _paint(
    contours: Contours, structures: Sequence[Structure], profile: Profile, findings: list[Finding], case: str
) -> tuple[np.ndarray, list[str]]:
    """Label map (Z, Y, X) uint8 in which the higher precedence wins, and the structures not drawn.

    Where precedence is equal, the later label wins.
    """
    assert contours.grid is not None
    labels = np.zeros(contours.grid.GetSize()[::-1], np.uint8)
    drawn: dict[int, int] = {}
    undrawn = []
    by_name = {structure.name: structure for structure in structures}
    for organ in sorted(profile.organs, key=lambda organ: (organ.precedence, organ.label)):
        try:
            mask = contours.mask(by_name[organ.name])
        except InputError as error:
            findings.append(Finding("unusable", f"{organ.name}: {error}", case))
            undrawn.append(organ.name)
            continue
        if mask is None:
            findings.append(Finding("missing", organ.name, case))
            undrawn.append(organ.name)
            continue
        below = np.bincount(labels[mask])
        drawn[organ.label] = int(below.sum())
        if not drawn[organ.label]:
            findings.append(Finding("empty", organ.name, case))
        for label in np.flatnonzero(below[1:]) + 1:
            under = next(o for o in profile.organs if o.label == label)
            tie = " (same precedence: the later label)" if under.precedence == organ.precedence else ""
            findings.append(Finding("overlap", f"{organ.name} over {under.name}{tie}", case, int(below[label])))
        labels[mask] = organ.label
    left = count_labels(labels, len(structures))
    for organ in profile.organs:
        if drawn.get(organ.label) and not left[organ.label]:
            findings.append(Finding("covered", organ.name, case, drawn[organ.label]))
    return labels, [organ.name for organ in profile.organs if organ.name in undrawn]


def count_labels(labels: np.ndarray, highest: int) -> np.ndarray:
    """Voxels of labels 0 to ``highest`` in a map (Z, Y, X); slice by slice, as bincount copies to eight bytes."""
    return np.sum([np.bincount(rows.ravel(), minlength=highest + 1) for rows in labels], axis=0)


def check_lone_sides(labels: np.ndarray, image: sitk.Image, profile: Profile) -> None:
    """Check that an organ whose partner is not there lies on its own side of the midline organs' centre.

    Args:
        labels: (Z, Y, X) of the image's own voxel order.
        image: Gives the geometry.
        profile: Organs, labels and sides. Nothing is checked without a midline organ.

    Raises:
        InputError: If one lies on the other side.
    """

    def x_mm(label: int) -> float | None:
        voxels = np.argwhere(labels == label)
        if not len(voxels):
            return None
        return image.TransformContinuousIndexToPhysicalPoint(voxels.mean(0)[::-1].tolist())[0]

    count = count_labels(labels, len(profile.organs))
    lone = [
        organ
        for organ in profile.organs
        if organ.name[-2:] in ("_L", "_R")
        and count[organ.label]
        and not (organ.mirror and count[profile.by_name[organ.mirror].label])
    ]
    if not lone:
        return
    middle = [x for o in profile.organs if o.name[-2:] not in ("_L", "_R") and (x := x_mm(o.label)) is not None]
    for organ in lone if middle else ():
        left_by_mm = (x_mm(organ.label) or 0.0) - float(np.mean(middle))
        if left_by_mm * (1 if organ.name.endswith("_L") else -1) < -LONE_MARGIN_MM:
            side = "left" if left_by_mm > 0 else "right"
            raise InputError(
                f"sides: {organ.name} lies {abs(left_by_mm):.0f} mm to the patient's {side} of the midline organs; "
                "the contour's name or the image header is flipped: mend it"
            )


def write_case(done: ImportedCase, case: CaseFiles, folder: Path, split: str) -> list[str]:
    """Write ``images<split>/<case>_0000`` and ``labels<split>/<case>``; returns the paths below the folder."""
    written = []
    if done.ct is not None:
        written.append(f"images{split}/{done.name}_0000{ENDING}")
        with replacing(folder / written[-1]) as temporary:
            if case.ct[0].name.lower().endswith(ENDING):
                shutil.copyfile(case.ct[0], temporary)
            else:
                sitk.WriteImage(done.ct, str(temporary), True)
    written.append(f"labels{split}/{done.name}{ENDING}")
    with replacing(folder / written[-1]) as temporary:
        sitk.WriteImage(done.labels, str(temporary), True)
    return written


def summary(done: dict[str, Any]) -> str:
    """One line on a case, from its record."""
    parts = [f"{len(done['voxels'])} structures"]
    if done["undrawn"]:
        parts.append(f"not drawn: {', '.join(done['undrawn'])}")
    return "; ".join(parts)
