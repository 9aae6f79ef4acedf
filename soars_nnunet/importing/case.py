"""One case of a public set as a CT and an exclusive label map, with everything odd noted."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import SimpleITK as sitk

from soars_nnunet.anatomy.order import require_order
from soars_nnunet.cascade.image_file import write_image
from soars_nnunet.cascade.storage import replacing
from soars_nnunet.errors import InputError
from soars_nnunet.images.ct_check import check_ct
from soars_nnunet.images.label_map import count_labels
from soars_nnunet.images.organ_measures import measure_organs
from soars_nnunet.images.plausible import check_plausible
from soars_nnunet.images.sides import check_lone_sides, check_sides
from soars_nnunet.importing.case_files import CaseFiles
from soars_nnunet.importing.contours import Contours
from soars_nnunet.importing.findings import Finding
from soars_nnunet.importing.painting import paint
from soars_nnunet.importing.public_sets import PublicSet, Structure
from soars_nnunet.naming.organ_names import read_name
from soars_nnunet.profile import Organ, Profile

ENDING = ".nii.gz"

OTHER_SIDE = {"_L": "_R", "_R": "_L"}
"""TG-263 suffixes."""


@dataclass
class ImportedCase:
    """What became of one case.

    Attributes:
        name: Case name in the written dataset.
        ct: The CT in HU, or None.
        labels: Label map on the same grid, uint8.
        voxels: By structure, after overlaps are resolved; only drawn ones.
        not_annotated: Structures that nobody drew, in label order.
        findings: Everything odd.
    """

    name: str
    ct: sitk.Image | None
    labels: sitk.Image
    voxels: dict[str, int]
    not_annotated: list[str]
    findings: list[Finding] = field(default_factory=list)


def as_profile(structures: Sequence[Structure], precedence: Mapping[str, int]) -> Profile:
    """Profile of the written structures, labelled 1, 2, ... in order; mirror partners by the sides in their names."""
    mirrors = _mirrors([structure.name for structure in structures])
    organs = []
    for label, structure in enumerate(structures, 1):
        organ = Organ(
            name=structure.name,
            label=label,
            paper_name=structure.name,
            tier="anchor",
            mirror=mirrors.get(structure.name),
            precedence=precedence[structure.name],
        )
        organs.append(organ)
    return Profile("import", tuple(organs))


def _mirrors(names: Sequence[str]) -> dict[str, str]:
    """Structure on the other side by name, where names say their side and both are there once."""
    by_side: dict[tuple[str, str], list[str]] = {}
    for name in names:
        reading = read_name(name)
        if reading and reading.side:
            by_side.setdefault((reading.organ, reading.side), []).append(name)
    mirrors = {}
    for name in names:
        other = name[:-2] + OTHER_SIDE.get(name[-2:], "")
        if other in names and other != name:
            mirrors[name] = other
    for (organ, side), left in by_side.items():
        right = by_side.get((organ, "R"), [])
        if side == "L" and len(left) == len(right) == 1 and not {*left, *right} & set(mirrors):
            mirrors[left[0]], mirrors[right[0]] = right[0], left[0]
    return mirrors


def read_case(
    table: PublicSet, case: CaseFiles, structures: Sequence[Structure], profile: Profile, *, without_ct: bool
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
            label map on another grid, or organs on the wrong sides, upside down or back to front.
    """
    if not case.ct and not without_ct:
        raise InputError("no CT; complete the set, or import the label map alone with --without-ct")
    findings: list[Finding] = []

    def note(kind: str, text: str) -> None:
        findings.append(Finding(kind, text, case.name))

    contours = Contours(table, case, note)
    if contours.ct is not None:
        for doubt in check_plausible(check_ct(contours.ct, "the CT"), "the CT"):
            note("doubtful_ct", doubt)
    if contours.grid is None:
        raise InputError("no contour that can be read")
    if contours.ct is None:
        note("no_ct", "no CT")
    painted = paint(contours, structures, profile, findings, case=case.name)
    count = count_labels(painted.labels, len(structures))
    if not count[1:].any():
        raise InputError("no contour of any structure that is to be written")
    image = sitk.GetImageFromArray(painted.labels)
    image.CopyInformation(contours.grid)
    labels = {organ.name: organ.label for organ in profile.organs}
    check_sides(painted.labels, image, labels, profile, case="sides")
    check_lone_sides(painted.labels, image, profile, case="sides")
    for doubt in require_order(measure_organs(painted.labels, image, labels), case="order"):
        note("odd_place", doubt)
    voxels = {name: int(count[label]) for name, label in labels.items() if name not in painted.not_annotated}
    return ImportedCase(case.name, contours.ct, image, voxels, painted.not_annotated, findings)


def write_case(done: ImportedCase, case: CaseFiles, folder: Path, split: str) -> list[str]:
    """Write ``images<split>/<case>_0000`` and ``labels<split>/<case>``; returns the paths below the folder."""
    written = []
    if done.ct is not None:
        ct_file = f"images{split}/{done.name}_0000{ENDING}"
        if case.ct[0].name.lower().endswith(ENDING):
            with replacing(folder / ct_file) as temporary:
                shutil.copyfile(case.ct[0], temporary)
        else:
            write_image(done.ct, folder / ct_file)
        written.append(ct_file)
    label_file = f"labels{split}/{done.name}{ENDING}"
    write_image(done.labels, folder / label_file)
    written.append(label_file)
    return written
