"""Which organs a scan cannot hold: their place, seen from the organs that were found, lies above or below it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping

import numpy as np
import SimpleITK as sitk

from soars_nnunet.anatomy.facts import AnatomyFacts
from soars_nnunet.anatomy.learn import UP
from soars_nnunet.anatomy.measures import OrganMeasure

LEAST_SEEN_FROM = 2
"""Organs from which a place is seen; from fewer nothing is said, ours."""

MARGIN_MM = 10.0
"""An organ's centre must lie this far outside, or its own spread over patients if that is more; ours."""


def organs_outside(
    missing: Iterable[str], found: Mapping[str, OrganMeasure], anatomy: AnatomyFacts, scan: sitk.Image
) -> set[str]:
    """Organs whose place lies above or below the scan.

    Args:
        missing: Organs without a voxel.
        found: What is measured of the others.
        anatomy: Where organs lie to each other.
        scan: Gives the geometry.

    Returns:
        Those of ``missing``; empty where too little was found to say.
    """
    seen_from = {name: measure for name, measure in found.items() if measure.is_whole and name in anatomy.organs}
    if len(seen_from) < LEAST_SEEN_FROM:
        return set()
    zero_mm = []
    for name, measure in seen_from.items():
        zero_mm.append(measure.center_mm[UP] - anatomy.organs[name].up.mm)
    low_mm, high_mm = _ends_mm(scan)
    outside = set()
    for name in missing:
        if name not in anatomy.organs:
            continue
        place = anatomy.organs[name].up
        place_mm = float(np.median(zero_mm)) + place.mm
        margin_mm = max(MARGIN_MM, place.spread_mm)
        if place_mm < low_mm - margin_mm or place_mm > high_mm + margin_mm:
            outside.add(name)
    return outside


def _ends_mm(scan: sitk.Image) -> tuple[float, float]:
    """Lowest and highest end of a scan along the patient, mm in LPS."""
    corners = itertools.product(*((-0.5, size - 0.5) for size in scan.GetSize()))
    heights_mm = [scan.TransformContinuousIndexToPhysicalPoint(corner)[UP] for corner in corners]
    return min(heights_mm), max(heights_mm)
