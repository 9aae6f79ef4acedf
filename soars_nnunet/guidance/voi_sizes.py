"""How large the VOI of each detection target is: from the largest extents of its organs in the training cases."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from soars_nnunet.cascade.classes import partner_of, target_labels
from soars_nnunet.cascade.raw_cases import CaseFiles
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.errors import InputError
from soars_nnunet.geometry.voi import target_extents_mm, voi_size_mm
from soars_nnunet.guidance.targets import annotated_labels, targets_not_annotated


def target_sizes_mm(cascade: Cascade, cases: Mapping[str, CaseFiles]) -> dict[str, np.ndarray]:
    """VOI size of every target.

    Targets of both sides share the larger size, so that no side is treated otherwise.

    Args:
        cascade: The stratified dataset.
        cases: Files of its training cases.

    Returns:
        (3,) in mm (Z, Y, X) by target, in label order.

    Raises:
        InputError: If no case has some target.
    """
    targets = list(target_labels(cascade))
    extents_mm = np.stack([_extents_mm(cascade, case, files) for case, files in cases.items()])
    unseen = []
    for target, of_cases in zip(targets, extents_mm.swapaxes(0, 1), strict=True):
        if np.isnan(of_cases).all():
            unseen.append(target)
    if unseen:
        raise InputError(f"{cascade.source}: no case has {', '.join(unseen)}; leave the organs out of the profile")
    own = dict(zip(targets, voi_size_mm(extents_mm), strict=True))
    shared = {}
    for target, size_mm in own.items():
        shared[target] = np.maximum(size_mm, own[partner_of(cascade, target)])
    return shared


def _extents_mm(cascade: Cascade, case: str, files: CaseFiles) -> np.ndarray:
    """(T, 3) extents of the targets in a case; NaN without a voxel, or where an organ is not annotated."""
    labels, properties = annotated_labels(cascade, case, files.labels)
    extents_mm = target_extents_mm(labels, list(target_labels(cascade).values()), properties["spacing"])
    extents_mm[targets_not_annotated(cascade, case)] = np.nan
    return extents_mm
