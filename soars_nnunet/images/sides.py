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
        ValueError: If a pair is swapped.
    """
    for organ in profile.organs:
        if organ.side != "L" or organ.name not in organs or organ.mirror not in organs:
            continue
        x_mm = []
        for name in (organ.name, organ.mirror):
            voxels = np.argwhere(labels == organs[name])
            if len(voxels):
                center = voxels.mean(0)[::-1]
                x_mm.append(image.TransformContinuousIndexToPhysicalPoint(center.tolist())[0])
        if len(x_mm) == 2 and x_mm[0] <= x_mm[1]:
            raise InputError(
                f"{case}: {organ.name} lies {x_mm[1] - x_mm[0]:.0f} mm to the patient's right of {organ.mirror}; "
                "the labels or the image header are flipped: swap the two labels or mend the direction matrix"
            )
