"""Left organs lie on the left: checked by geometry."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from soars_nnunet.errors import InputError
from soars_nnunet.profile import Profile


def check_sides(labels: np.ndarray, image: sitk.Image, organs: dict[str, int], profile: Profile, case: str) -> None:
    """Check by geometry that every left organ lies on the patient's left (larger x in LPS) of its partner.

    Args:
        labels: (Z, Y, X) of the image's own voxel order.
        image: Image that gives the geometry.
        organs: Label by TG-263 name.
        profile: Gives the mirror partners.
        case: Name for the message.

    Raises:
        InputError: If a pair is swapped. An organ without a voxel, or whose partner has none, is passed over.
    """
    for organ in profile.organs:
        if organ.side != "L" or organ.name not in organs or organ.mirror not in organs:
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
