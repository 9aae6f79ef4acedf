"""Voxel grids of masks: whether two are the same, and masks of another extent or orientation put in their place.

Arrays are (Z, Y, X) in the voxel order of their grid.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from soars_nnunet.errors import InputError
from soars_nnunet.images.header import ImageHeader, require_header
from soars_nnunet.images.label_map import GRID_TOLERANCES

OFFSET_TOLERANCE_VOX = 1e-2
"""How far a mask's voxels may lie off those of the CT: rounding of origins in file formats."""


@dataclass(frozen=True)
class Placed:
    """An array on another grid than that of its file.

    Attributes:
        array: (Z, Y, X) of the grid; 0 where the file has no voxel.
        moved: Whether the file has another extent or orientation.
        lost: Voxels other than 0 that lie outside of the grid.
    """

    array: np.ndarray
    moved: bool
    lost: int


def place_on_grid(image: sitk.Image, grid: sitk.Image, name: str) -> Placed:
    """Array of an image on a grid; parts of the grid and other orientations are put in their place.

    Args:
        image: A mask or a label map.
        grid: Gives the geometry.
        name: For the message.

    Raises:
        InputError: If voxels of the one do not lie on voxels of the other.
    """
    if same_grid(image, grid):
        return Placed(sitk.GetArrayFromImage(image), moved=False, lost=0)
    code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(grid.GetDirection())
    turned = sitk.DICOMOrient(image, code)
    offset_vox = np.array(grid.TransformPhysicalPointToContinuousIndex(turned.GetOrigin()))
    off_vox = np.abs(offset_vox - np.rint(offset_vox)).max()
    if not _agree(turned, grid, ("Spacing", "Direction")) or off_vox > OFFSET_TOLERANCE_VOX:
        raise InputError(
            f"{name}: expected the grid of the CT, {_describe(grid)}, got {_describe(image)}; resample it onto the CT"
        )
    array = sitk.GetArrayViewFromImage(turned)
    first = np.rint(offset_vox).astype(int)[::-1]
    placed = _pasted(array, first, grid.GetSize()[::-1])
    lost = int(np.count_nonzero(array)) - int(np.count_nonzero(placed))
    return Placed(placed, moved=True, lost=lost)


def same_grid(image: sitk.Image, grid: sitk.Image) -> bool:
    """Whether two images have one grid but for the rounding of file formats."""
    return _agree(image, grid, GRID_TOLERANCES)


def commonest_grid(paths: Iterable[Path]) -> sitk.Image | None:
    """Header, as an empty image, on which most files lie; None without a readable one."""
    grids: list[sitk.Image] = []
    votes: Counter[int] = Counter()
    for path in sorted(paths):
        header = _read_header(path)
        if header is None:
            continue
        image = _empty_image(header)
        index = _index_of_grid(image, grids)
        if index == len(grids):
            grids.append(image)
        votes[index] += 1
    if not votes:
        return None
    ((commonest, _),) = votes.most_common(1)
    return grids[commonest]


def _pasted(array: np.ndarray, first: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Zeros of a shape with an array in it, whose first voxel lies at ``first``, as far as it lies inside."""
    placed = np.zeros(shape, array.dtype)
    start = np.maximum(first, 0)
    stop = np.minimum(first + array.shape, placed.shape)
    if (stop > start).all():
        inside = tuple(map(slice, start, stop))
        of_array = tuple(map(slice, start - first, stop - first))
        placed[inside] = array[of_array]
    return placed


def _read_header(path: Path) -> ImageHeader | None:
    """Header of a 3D file of one value a voxel; None where there is none, which is said when the file is read."""
    try:
        header = require_header(path)
    except InputError:
        return None
    return header if len(header.size) == 3 and header.components == 1 else None


def _index_of_grid(image: sitk.Image, grids: Sequence[sitk.Image]) -> int:
    """Index of the first grid that is the image's; their number where none is."""
    for index, grid in enumerate(grids):
        if same_grid(image, grid):
            return index
    return len(grids)


def _empty_image(header: ImageHeader) -> sitk.Image:
    image = sitk.Image(header.size, sitk.sitkUInt8)
    image.SetSpacing(header.spacing_mm)
    image.SetOrigin(header.origin_mm)
    image.SetDirection(header.direction)
    return image


def _agree(image: sitk.Image, grid: sitk.Image, what: Iterable[str]) -> bool:
    """Whether facts of two images, out of ``GRID_TOLERANCES``, agree within their tolerances."""
    for fact in what:
        ours = getattr(image, f"Get{fact}")()
        theirs = getattr(grid, f"Get{fact}")()
        if len(ours) != len(theirs) or not np.allclose(ours, theirs, rtol=0, atol=GRID_TOLERANCES[fact]):
            return False
    return True


def _describe(image: sitk.Image) -> str:
    size = " x ".join(f"{count:g}" for count in image.GetSize())
    spacing = " x ".join(f"{mm:g}" for mm in image.GetSpacing())
    origin = np.round(image.GetOrigin(), 2).tolist()
    return f"{size} voxels of {spacing} mm from {origin} (x, y, z)"
