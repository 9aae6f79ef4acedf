"""Hausdorff distance between the brightest voxels of heat maps, as the paper compares them (supplement to table 7)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.distance import directed_hausdorff

from soars_nnunet.paper import stated

NUM_BRIGHTEST: int = stated("brightest_voxels")
"""Voxels kept of a heat map before two of them are compared (paper, supplement to table 7)."""


def brightest_hd_mm(
    first: np.ndarray, second: np.ndarray, spacing_mm: Sequence[float], count: int = NUM_BRIGHTEST
) -> float:
    """Maximum Hausdorff distance between the brightest voxels of two maps.

    Args:
        first: (Z, Y, X).
        second: Of the same shape.
        spacing_mm: Voxel size (Z, Y, X).
        count: How many voxels of each map are kept; of equal voxels the first ones.

    Returns:
        mm between voxel centres; 0 where both have the same brightest voxels.

    Raises:
        ValueError: If the shapes differ or there are no voxels.
    """
    if first.shape != second.shape or first.ndim != 3 or not first.size:
        raise ValueError(f"expected two maps (Z, Y, X) of one shape, got {first.shape} and {second.shape}")
    first_mm = _brightest_mm(first, spacing_mm, count)
    second_mm = _brightest_mm(second, spacing_mm, count)
    forth = directed_hausdorff(first_mm, second_mm)[0]
    back = directed_hausdorff(second_mm, first_mm)[0]
    return float(max(forth, back))


def _brightest_mm(heatmap: np.ndarray, spacing_mm: Sequence[float], count: int) -> np.ndarray:
    """(N, 3) positions of the brightest voxels, in mm; all of them where the map has fewer."""
    values = heatmap.ravel()
    lowest = np.partition(values, -count)[-count] if count < values.size else values.min()
    above = np.flatnonzero(values > lowest)
    equal = np.flatnonzero(values == lowest)
    chosen = np.concatenate((above, equal[: count - above.size]))
    return np.stack(np.unravel_index(chosen, heatmap.shape), axis=1) * np.asarray(spacing_mm)
