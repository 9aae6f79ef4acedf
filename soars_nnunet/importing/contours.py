"""CT and contours of one case of a public set, whatever its file format, on one voxel grid.

Contours come as one mask file a structure, as one label map, or as sparse CSV lists of voxels.
Arrays are (Z, Y, X) in the voxel order of the case's grid.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.label_map import GRID_TOLERANCES, read_label_map
from soars_nnunet.importing.public_sets import CaseFiles, PublicSet, Structure
from soars_nnunet.profile import normalise

OFFSET_TOLERANCE_VOX = 1e-2
"""How far a mask's voxels may lie off those of the CT: rounding of origins in file formats."""

LPS_AXES = {"superior": (0, 1), "inferior": (0, -1), "posterior": (1, 1), "anterior": (1, -1)}
LPS_AXES |= {"left": (2, 1), "right": (2, -1)}
"""By the direction in which an index grows: its place in (Z, Y, X) and whether that is LPS's own direction."""

Note = Callable[[str, str], None]
"""Receives a kind of finding and its text."""


class Contours:
    """Contours of one case, read one at a time.

    Attributes:
        ct: The CT, or None where the set has none.
        grid: Image that gives the geometry: the CT, else the label map, else the grid of most masks.
    """

    def __init__(self, table: PublicSet, case: CaseFiles, note: Note) -> None:
        """Read the CT and the label map.

        Raises:
            InputError: If there are several CTs or label maps, one is unreadable, or the grids differ.
        """
        self._case, self._note, self._sparse = case, note, table.sparse
        self._labels: np.ndarray | None = None
        for what, paths in (("CT", case.ct), ("label map", case.labels)):
            if len(paths) > 1:
                raise InputError(
                    f"expected one {what}, got {', '.join(map(str, paths))}; give a folder that holds the case once"
                )
        self.ct = self._read_ct()
        self.grid = self.ct
        if case.labels:
            image = read_label_map(case.labels[0])
            self.grid = self.ct or image
            values = np.unique(sitk.GetArrayViewFromImage(image))
            unknown = sorted(set(values.tolist()) - {0} - {v for s in table.structures for v in s.labels})
            if unknown:
                note("label_value", f"values {', '.join(map(str, unknown))} in the label map mean nothing in this set")
            self._labels = self._place(image, "label map")
        elif self.grid is None and not table.sparse:
            self.grid = _commonest_grid([path for paths in case.masks.values() for path in paths])

    def mask(self, structure: Structure) -> np.ndarray | None:
        """Voxels of a structure.

        Returns:
            (Z, Y, X) boolean, empty where a mask file is; None where nobody drew it: no file, a part of
            a union without one, or no voxel in a label map.

        Raises:
            InputError: If a file is unusable, or two are the same structure.
        """
        if self._labels is not None:
            lookup = np.zeros(max(int(self._labels.max()), *structure.labels) + 1, bool)
            lookup[list(structure.labels)] = True
            found = lookup[self._labels]
            return found if found.any() else None
        names = {name: structure.aliases if len(structure.published) == 1 else () for name in structure.published}
        paths = {name: self._path(name, aliases) for name, aliases in names.items()}
        missing = [name for name, path in paths.items() if path is None]
        if missing:
            if len(missing) < len(paths):
                self._note("incomplete", f"{structure.name} not written, as {', '.join(missing)} is missing")
            return None
        parts = [self._read_mask(path) for path in paths.values() if path is not None]
        return np.logical_or.reduce(parts) if len(parts) > 1 else parts[0]

    def _path(self, name: str, aliases: tuple[str, ...]) -> Path | None:
        wanted = {normalise(spelling) for spelling in (name, *aliases)}
        paths = [
            path for spelling, found in self._case.masks.items() if normalise(spelling) in wanted for path in found
        ]
        if len(paths) > 1:
            raise InputError(f"expected one file of {name}, got {', '.join(path.name for path in paths)}; keep one")
        return paths[0] if paths else None

    def _read_ct(self) -> sitk.Image | None:
        if not self._case.ct:
            return None
        path = self._case.ct[0]
        if not self._sparse:
            return read_ct(path)
        if len(self._case.spacing) != 1:
            raise InputError("expected one file of voxel dimensions, got none or several; complete the case")
        indices, values = read_sparse(path, self._sparse, with_values=True)
        array = np.full(np.prod(self._sparse["shape"]), self._sparse["outside_hu"], np.int16)
        array[indices] = np.clip(np.rint(values + self._sparse["hu_offset"]), -32768, 32767)
        return from_axes(array, self._sparse, _read_spacing(self._case.spacing[0]))

    def _read_mask(self, path: Path) -> np.ndarray:
        if self._sparse:
            array = np.zeros(np.prod(self._sparse["shape"]), np.uint8)
            array[read_sparse(path, self._sparse)[0]] = 1
            return sitk.GetArrayFromImage(from_axes(array, self._sparse, (1.0, 1.0, 1.0))) != 0
        image = read_ct(path)
        if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
            raise InputError(f"{path.name}: expected a 3D mask of one value a voxel, got another kind; export it again")
        return self._place(_as_binary(image, path.name), path.name) != 0

    def _place(self, image: sitk.Image, name: str) -> np.ndarray:
        """Array of an image on the case's grid; parts of the grid and other orientations are put in their place."""
        assert self.grid is not None
        if _same_grid(image, self.grid):
            return sitk.GetArrayFromImage(image)
        code = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(self.grid.GetDirection())
        turned = sitk.DICOMOrient(image, code)
        offset = np.array(self.grid.TransformPhysicalPointToContinuousIndex(turned.GetOrigin()))
        if not _same_axes(turned, self.grid) or np.abs(offset - np.rint(offset)).max() > OFFSET_TOLERANCE_VOX:
            raise InputError(
                f"{name}: expected the grid of the CT, {_describe(self.grid)}, got {_describe(image)}; "
                "resample it onto the CT"
            )
        first = np.rint(offset).astype(int)[::-1]
        array = sitk.GetArrayViewFromImage(turned)
        placed = np.zeros(self.grid.GetSize()[::-1], array.dtype)
        start = np.maximum(first, 0)
        stop = np.minimum(first + array.shape, placed.shape)
        if (stop > start).all():
            inner = tuple(slice(a - f, b - f) for a, b, f in zip(start, stop, first, strict=True))
            placed[tuple(map(slice, start, stop))] = array[inner]
        lost = int(np.count_nonzero(array)) - int(np.count_nonzero(placed))
        outside = f"; {lost} voxels lie outside the CT" if lost else ""
        self._note("other_grid", f"{name} is stored on another extent or orientation; put in its place{outside}")
        return placed


def read_sparse(
    path: Path, sparse: Mapping[str, Any], with_values: bool = False
) -> tuple[np.ndarray, np.ndarray | None]:
    """Flat indices of a sparse CSV file (header, then ``index,value`` lines), and their values if wanted.

    Raises:
        InputError: If it is not such a file, or an index lies outside the volume or comes twice.
    """
    try:
        columns = (0, 1) if with_values else (0,)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "loadtxt: input contained no data")
            table = np.loadtxt(path, delimiter=",", skiprows=1, usecols=columns, ndmin=2)
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: expected lines of index,value after a header, got {error}; copy it again") from error
    indices = table[:, 0].astype(np.int64)
    size = int(np.prod(sparse["shape"]))
    if (indices != table[:, 0]).any() or (len(indices) and not 0 <= indices.min() <= indices.max() < size):
        raise InputError(f"{path}: expected whole indices from 0 to {size - 1}, got others; copy it again")
    if len(np.unique(indices)) != len(indices):
        raise InputError(f"{path}: expected every voxel once, got some twice; copy it again")
    return indices, table[:, 1] if with_values else None


def from_axes(flat: np.ndarray, sparse: Mapping[str, Any], spacing_mm: tuple[float, ...]) -> sitk.Image:
    """Axial LPS image, identity direction and origin 0, of a flat array whose axes point as ``sparse`` says.

    Args:
        flat: Values in C order of ``sparse["shape"]``.
        sparse: Also has ``axes``: per axis the direction in which its index grows.
        spacing_mm: In the order of these axes.
    """
    places = [LPS_AXES[direction] for direction in sparse["axes"]]
    order = [place for place, _ in places]
    array = flat.reshape(sparse["shape"]).transpose(np.argsort(order))
    flips = {place: step for place, step in places}
    array = array[tuple(slice(None, None, flips[place]) for place in range(3))]
    image = sitk.GetImageFromArray(np.ascontiguousarray(array))
    image.SetSpacing([float(spacing_mm[order.index(place)]) for place in (2, 1, 0)])
    return image


def _read_spacing(path: Path) -> tuple[float, ...]:
    try:
        spacing_mm = np.loadtxt(path, delimiter=",", ndmin=1).ravel()
    except ValueError as error:
        raise InputError(f"{path}: expected three voxel dimensions, got {error}; copy it again") from error
    if spacing_mm.shape != (3,) or not (spacing_mm > 0).all():
        raise InputError(f"{path}: expected three voxel dimensions in mm, got {spacing_mm.tolist()}; copy it again")
    return tuple(spacing_mm)


def _as_binary(image: sitk.Image, name: str) -> sitk.Image:
    """Mask of a file's one value beside 0, uint8; refuses label maps and probabilities."""
    array = sitk.GetArrayViewFromImage(image)
    inside = array != 0
    values = array[inside]
    if values.size and not values.min() == values.max():
        raise InputError(
            f"{name}: expected a mask of 0 and one other value, got values from {values.min():g} to {values.max():g}; "
            "export a binary mask"
        )
    mask = sitk.GetImageFromArray(inside.view(np.uint8))
    mask.CopyInformation(image)
    return mask


def _commonest_grid(paths: list[Path]) -> sitk.Image | None:
    """Header, as an empty image, on which most files lie; None without a readable one."""
    grids: list[sitk.Image] = []
    votes: Counter[int] = Counter()
    for path in sorted(paths):
        reader = sitk.ImageFileReader()
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
        except RuntimeError:
            continue  # said when the contour is read
        if reader.GetDimension() != 3 or reader.GetNumberOfComponents() != 1:
            continue
        same = [i for i, grid in enumerate(grids) if _same_grid(reader, grid)]
        if not same:
            image = sitk.Image(reader.GetSize(), sitk.sitkUInt8)
            image.SetSpacing(reader.GetSpacing())
            image.SetOrigin(reader.GetOrigin())
            image.SetDirection(reader.GetDirection())
            grids.append(image)
        votes[same[0] if same else len(grids) - 1] += 1
    return grids[votes.most_common(1)[0][0]] if votes else None


def _same_grid(image: sitk.Image | sitk.ImageFileReader, grid: sitk.Image) -> bool:
    pairs = ((getattr(image, f"Get{what}")(), getattr(grid, f"Get{what}")(), t) for what, t in GRID_TOLERANCES.items())
    return all(len(ours) == len(theirs) and np.allclose(ours, theirs, 0, t) for ours, theirs, t in pairs)


def _same_axes(image: sitk.Image, grid: sitk.Image) -> bool:
    return all(
        np.allclose(getattr(image, f"Get{what}")(), getattr(grid, f"Get{what}")(), 0, GRID_TOLERANCES[what])
        for what in ("Spacing", "Direction")
    )


def _describe(image: sitk.Image) -> str:
    size, spacing = (" x ".join(f"{n:g}" for n in values) for values in (image.GetSize(), image.GetSpacing()))
    return f"{size} voxels of {spacing} mm from {np.round(image.GetOrigin(), 2).tolist()} (x, y, z)"
