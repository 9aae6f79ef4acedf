"""Where a branch's network grid lies on the image grid.

nnU-Net crops an image to its non-zero box and resamples the crop to the branch's spacing,
shape to shape, with the half-pixel convention of ``skimage.transform.resize`` and of
``torch.nn.functional.interpolate(align_corners=False)``::

    x_net = (x_image - crop_lo + 0.5) * n_net / n_crop - 0.5

Axes are (Z, Y, X) throughout. Voxel coordinates are continuous, voxel ``i`` has its centre at ``i``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

Shape = tuple[int, int, int]
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""Half-open voxel range (lo, hi) of each axis, in the order Z, Y, X."""
Slices = tuple[slice, slice, slice]
"""A box's slices of an array, in the order Z, Y, X."""


@dataclass(frozen=True)
class Grid:
    """A network grid on an image grid.

    Attributes:
        image_shape: Voxels of the whole image (Z, Y, X).
        crop: Part of the image that the network grid covers, half-open (lo, hi) per axis.
        shape: Voxels of the network grid (z, y, x).
        image_spacing_mm: Voxel size of the image (Z, Y, X).

    Raises:
        ValueError: At construction, for an empty shape, a crop outside the image or a spacing
            that is not positive.
    """

    image_shape: Shape
    crop: Box
    shape: Shape
    image_spacing_mm: tuple[float, float, float]

    def __post_init__(self) -> None:
        for axes in (self.image_shape, self.crop, self.shape, self.image_spacing_mm):
            if len(axes) != 3:
                raise ValueError(f"grid: expected three axes everywhere, got {self}")
        for (lo, hi), size in zip(self.crop, self.image_shape, strict=True):
            if not 0 <= lo < hi <= size:
                raise ValueError(f"grid: expected a non-empty crop inside {self.image_shape}, got {self.crop}")
        if min(self.shape) < 1:
            raise ValueError(f"grid: expected a network shape of at least one voxel, got {self.shape}")
        if not all(np.isfinite(mm) and mm > 0 for mm in self.image_spacing_mm):
            raise ValueError(f"grid: expected a positive spacing in mm, got {self.image_spacing_mm}")

    @classmethod
    def from_properties(cls, properties: dict[str, Any], shape: Sequence[int]) -> Grid:
        """Grid of a case that nnU-Net has preprocessed with ``transpose_forward`` [0, 1, 2].

        Args:
            properties: nnU-Net's properties after ``run_case_npy``.
            shape: Spatial shape (z, y, x) of the preprocessed case.

        Raises:
            ValueError: If a property is missing or contradicts the others.
        """
        needed = ("shape_before_cropping", "bbox_used_for_cropping", "spacing")
        missing = [key for key in needed if key not in properties]
        if missing:
            raise ValueError(
                f"grid: expected the properties of a preprocessed case, got none named {', '.join(missing)}; "
                "run nnU-Net's preprocessor first"
            )
        mm_z, mm_y, mm_x = properties["spacing"]
        return cls(
            image_shape=_as_shape(properties["shape_before_cropping"]),
            crop=_as_box(properties["bbox_used_for_cropping"]),
            shape=_as_shape(shape),
            image_spacing_mm=(float(mm_z), float(mm_y), float(mm_x)),
        )

    @property
    def crop_shape(self) -> Shape:
        """Voxels of the crop (Z, Y, X) on the image grid."""
        (z0, z1), (y0, y1), (x0, x1) = self.crop
        return z1 - z0, y1 - y0, x1 - x0

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size of the network grid (z, y, x): the crop's extent over the network's voxels."""
        mm_z, mm_y, mm_x = self.image_spacing_mm
        crop_z, crop_y, crop_x = self.crop_shape
        net_z, net_y, net_x = self.shape
        return mm_z * crop_z / net_z, mm_y * crop_y / net_y, mm_x * crop_x / net_x

    def to_image(self, vox_net: ArrayLike) -> np.ndarray:
        """Image voxel coordinates of network voxel coordinates.

        Args:
            vox_net: (..., 3) continuous coordinates; NaN stays NaN.

        Returns:
            (..., 3) float64. Empty in, empty out.
        """
        vox = np.asarray(vox_net, dtype=np.float64)
        return (vox + 0.5) * self._crop_size() / np.array(self.shape) - 0.5 + self._crop_lo()

    def to_network(self, vox_image: ArrayLike) -> np.ndarray:
        """Network voxel coordinates of image voxel coordinates, the inverse of ``to_image``.

        Args:
            vox_image: (..., 3) continuous coordinates, inside or outside the crop; NaN stays NaN.

        Returns:
            (..., 3) float64. Empty in, empty out.
        """
        vox = np.asarray(vox_image, dtype=np.float64)
        return (vox - self._crop_lo() + 0.5) * np.array(self.shape) / self._crop_size() - 0.5

    def axis_weights(self, axis: int, image_lo: int, image_hi: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Linear interpolation neighbours of the image voxels ``image_lo`` to ``image_hi - 1`` of an axis.

        The value at an image voxel is ``(1 - w1) * net[i0] + w1 * net[i1]``. At the edges both
        neighbours are clamped as ``F.interpolate(align_corners=False)`` clamps them.

        Args:
            axis: 0, 1 or 2 for Z, Y, X.
            image_lo: First image voxel.
            image_hi: One after the last image voxel; equal to ``image_lo`` for empty results.

        Returns:
            ``(i0, i1, w1)``, each of length ``image_hi - image_lo``; int64, int64, float32.

        Raises:
            ValueError: If the range leaves the crop.
        """
        lo, hi = self.crop[axis]
        if not lo <= image_lo <= image_hi <= hi:
            raise ValueError(
                f"axis {axis}: expected image voxels inside the crop {lo}..{hi}, got {image_lo}..{image_hi}; "
                "cut the box to the crop first"
            )
        net = self.shape[axis]
        source = (np.arange(image_lo, image_hi) - lo + 0.5) * net / (hi - lo) - 0.5
        source = np.maximum(source, 0.0)
        i0 = np.minimum(source.astype(np.int64), net - 1)
        i1 = np.minimum(i0 + 1, net - 1)
        return i0, i1, np.clip(source - i0, 0.0, 1.0).astype(np.float32)

    def _crop_lo(self) -> np.ndarray:
        return np.array(self.crop)[:, 0]

    def _crop_size(self) -> np.ndarray:
        return np.array(self.crop_shape)


def _as_shape(sizes: Sequence[int]) -> Shape:
    z, y, x = sizes
    return int(z), int(y), int(x)


def _as_box(ranges: Sequence[Sequence[int]]) -> Box:
    (z_lo, z_hi), (y_lo, y_hi), (x_lo, x_hi) = ranges
    return (int(z_lo), int(z_hi)), (int(y_lo), int(y_hi)), (int(x_lo), int(x_hi))


def box_intersection(first: Box, second: Box) -> Box:
    """Common part of two boxes; an axis without a common voxel gets ``lo == hi``."""
    z, y, x = (_common_range(a, b) for a, b in zip(first, second, strict=True))
    return z, y, x


def _common_range(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    lo = max(first[0], second[0])
    hi = min(first[1], second[1])
    return lo, max(lo, hi)


def box_slices(box: Box, origin: Box | None = None) -> Slices:
    """Slices of a box.

    Args:
        box: Voxels (lo, hi) per axis, none of them below the origin's.
        origin: Box of the array that is sliced; None for an array that starts at voxel 0.
    """
    (z_lo, z_hi), (y_lo, y_hi), (x_lo, x_hi) = box
    if origin is None:
        return slice(z_lo, z_hi), slice(y_lo, y_hi), slice(x_lo, x_hi)
    (z, _), (y, _), (x, _) = origin
    return slice(z_lo - z, z_hi - z), slice(y_lo - y, y_hi - y), slice(x_lo - x, x_hi - x)


def box_overlap(box: Box, image_shape: Sequence[int]) -> tuple[Slices, Slices]:
    """Slices that paste a box-sized array into an image, or cut it out.

    Args:
        box: Image voxels (lo, hi) per axis; may reach outside the image.
        image_shape: (Z, Y, X).

    Returns:
        ``(image_slices, box_slices)`` of equal shape, so that
        ``image[image_slices] = boxed[box_slices]``. Both are empty where the box misses the image.
    """
    depth, height, width = image_shape
    common = box_intersection(box, ((0, depth), (0, height), (0, width)))
    if any(lo == hi for lo, hi in common):
        nothing = (slice(0, 0), slice(0, 0), slice(0, 0))
        return nothing, nothing
    return box_slices(common), box_slices(common, box)
