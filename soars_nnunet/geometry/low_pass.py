"""The low pass that a fine CT gets before it goes down to a network's coarser grid.

A spline takes what lies at its points. On a grid of a multiple of the spacing it would take single voxels of a noisy
scan, and detail that the grid cannot hold would come back as patterns that no organ has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d


def sigma_voxels(step: float) -> float:
    """Sigma of the Gaussian for a new voxel that is ``step`` old ones wide, in old ones.

    That of ``skimage.transform.resize`` with ``anti_aliasing``.
    """
    return max(0.0, (step - 1) / 2)


def low_pass_sigmas(
    spacing_mm: Sequence[float], new_spacing_mm: Sequence[float], ratio: float | None
) -> tuple[float, ...]:
    """Sigma along each axis, in voxels of the image; 0 where it needs none.

    Args:
        spacing_mm: Voxel size of the image (Z, Y, X).
        new_spacing_mm: Wanted voxel size (Z, Y, X).
        ratio: An axis gets a low pass where the wanted one is more than this times as large; None for no axis.
    """
    sigmas = []
    for mm, new_mm in zip(spacing_mm, new_spacing_mm, strict=True):
        step = float(new_mm) / float(mm)
        sigmas.append(sigma_voxels(step) if ratio is not None and step > ratio else 0.0)
    return tuple(sigmas)


def low_pass_matrix(size: int, sigma: float) -> np.ndarray:
    """Weights of ``gaussian_filter1d`` along one axis, the image's border repeated beyond it.

    Returns:
        (size, size) float64; the identity for a sigma of 0.
    """
    impulses = np.eye(size)
    return gaussian_filter1d(impulses, sigma, axis=0, mode="nearest") if sigma else impulses
