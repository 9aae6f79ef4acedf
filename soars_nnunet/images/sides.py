"""Left organs lie on the left: checked by geometry."""

from __future__ import annotations

from collections.abc import Container

import numpy as np
import SimpleITK as sitk

from soars_nnunet.errors import InputError
from soars_nnunet.images.label_map import count_labels
from soars_nnunet.profile import Organ, Profile

LONE_MARGIN_MM = 5.0
"""An organ without its partner must lie this far on the wrong side to be refused: esophagus and larynx are
seldom exactly in the middle, and heads are turned."""


def require_known_sides(profile: Profile, names: Container[str]) -> None:
    """Check that left and right of some organs can be checked at all.

    Args:
        profile: Names and mirror partners.
        names: Of the organs that a dataset has.

    Raises:
        InputError: Saying what must be added to the profile.
    """
    faults = profile.unknown_sides(names)
    if faults:
        raise InputError(f"profile '{profile.name}': expected to know left from right, but {'; '.join(faults)}")


def check_sides(labels: np.ndarray, image: sitk.Image, organs: dict[str, int], profile: Profile, *, case: str) -> None:
    """Check by geometry that every left organ lies on the patient's left (larger x in LPS) of its partner.

    Args:
        labels: (Z, Y, X) of the image's own voxel order.
        image: Image that gives the geometry.
        organs: Label by TG-263 name.
        profile: Gives the mirror partners and their sides.
        case: Name for the message.

    Raises:
        InputError: If a pair is swapped. An organ without a voxel, or whose partner has none, is passed over.
    """
    sides = profile.sides
    for organ in profile.organs:
        if sides.get(organ.name) != "L" or organ.name not in organs or organ.mirror not in organs:
            continue
        left_mm = center_x_mm(labels == organs[organ.name], image)
        right_mm = center_x_mm(labels == organs[organ.mirror], image)
        if left_mm is None or right_mm is None:
            continue
        if left_mm <= right_mm:
            raise InputError(
                f"{case}: {organ.name} lies {right_mm - left_mm:.0f} mm to the patient's right of {organ.mirror}; "
                "the labels or the image header are flipped: swap the two labels or mend the direction matrix"
            )


def check_lone_sides(labels: np.ndarray, image: sitk.Image, profile: Profile, *, case: str) -> None:
    """Check that an organ whose partner is not there lies on its own side of the midline organs' centre.

    Args:
        labels: (Z, Y, X) of the image's own voxel order.
        image: Gives the geometry.
        profile: Organs, labels and sides. Nothing is checked without a midline organ.
        case: Name for the message.

    Raises:
        InputError: If one lies on the other side.
    """
    present = count_labels(labels, len(profile.organs)) > 0
    sides = profile.sides
    lone, midline = [], []
    for organ in profile.organs:
        if not present[organ.label]:
            continue
        if organ.name not in sides:
            if organ.mirror is None:
                midline.append(organ)
        elif organ.mirror is None or not present[profile.by_name[organ.mirror].label]:
            lone.append(organ)
    if not lone or not midline:
        return

    def x_mm(organ: Organ) -> float:
        return center_x_mm(labels == organ.label, image) or 0.0

    middle_mm = float(np.mean([x_mm(organ) for organ in midline]))
    for organ in lone:
        left_by_mm = x_mm(organ) - middle_mm
        outwards_mm = left_by_mm if sides[organ.name] == "L" else -left_by_mm
        if outwards_mm < -LONE_MARGIN_MM:
            side = "left" if left_by_mm > 0 else "right"
            raise InputError(
                f"{case}: {organ.name} lies {abs(left_by_mm):.0f} mm to the patient's {side} of the midline organs; "
                "the contour's name or the image header is flipped: mend it"
            )


def center_x_mm(mask: np.ndarray, image: sitk.Image) -> float | None:
    """Centre of a mask along the patient's left-right axis.

    Args:
        mask: (Z, Y, X) bool, of the image's own voxel order.
        image: Gives the geometry.

    Returns:
        LPS x in mm, larger on the patient's left; None without a voxel.
    """
    voxels = np.argwhere(mask)
    if not len(voxels):
        return None
    center_xyz = voxels.mean(0)[::-1]
    return image.TransformContinuousIndexToPhysicalPoint(center_xyz.tolist())[0]
