"""CT and contours of one case of a public set, whatever its file format, on one voxel grid.

Contours come as one mask file a structure, as one label map, or as sparse CSV lists of voxels.
Arrays are (Z, Y, X) in the voxel order of the case's grid.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.importing.case_files import CaseFiles
from soars_nnunet.importing.grids import commonest_grid, place_on_grid
from soars_nnunet.importing.public_sets import PublicSet, Structure
from soars_nnunet.importing.sparse import read_spacing, read_sparse_ct, read_sparse_mask
from soars_nnunet.profile import normalise

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
        self._case = case
        self._note = note
        self._sparse = table.sparse
        self._labels: np.ndarray | None = None
        _require_one(case.ct, "CT")
        _require_one(case.labels, "label map")
        self.ct = self._read_ct()
        self.grid = self.ct
        if case.labels:
            image = read_label_map(case.labels[0])
            self.grid = self.ct or image
            self._note_unknown_values(image, table.structures)
            self._labels = self._place(image, "label map")
        elif self.grid is None and not table.sparse:
            self.grid = commonest_grid(chain.from_iterable(case.masks.values()))

    def mask(self, structure: Structure) -> np.ndarray | None:
        """Voxels of a structure.

        Returns:
            (Z, Y, X) boolean, empty where a mask file is; None where nobody drew it: no file, a part of
            a union without one, or no voxel in a label map.

        Raises:
            InputError: If a file is unusable, or two are the same structure.
        """
        if self._labels is not None:
            return self._mask_of_labels(self._labels, structure)
        paths, missing = [], []
        for name in structure.published:
            aliases = () if structure.is_union else structure.aliases
            path = self._path(name, aliases)
            if path is None:
                missing.append(name)
            else:
                paths.append(path)
        if missing:
            if paths:
                self._note("incomplete", f"{structure.name} not written, as {', '.join(missing)} is missing")
            return None
        mask = self._read_mask(paths[0])
        for path in paths[1:]:
            mask |= self._read_mask(path)
        return mask

    @staticmethod
    def _mask_of_labels(labels: np.ndarray, structure: Structure) -> np.ndarray | None:
        highest = max(int(labels.max()), max(structure.labels, default=0))
        is_wanted = np.zeros(highest + 1, bool)
        is_wanted[list(structure.labels)] = True
        found = is_wanted[labels]
        return found if found.any() else None

    def _note_unknown_values(self, image: sitk.Image, structures: tuple[Structure, ...]) -> None:
        known = {0}
        for structure in structures:
            known.update(structure.labels)
        values = np.unique(sitk.GetArrayViewFromImage(image)).tolist()
        unknown = sorted(set(values) - known)
        if unknown:
            text = f"values {', '.join(map(str, unknown))} in the label map mean nothing in this set"
            self._note("label_value", text)

    def _path(self, name: str, aliases: tuple[str, ...]) -> Path | None:
        """Mask file of a published structure, by any of its spellings; None without one."""
        wanted = {normalise(spelling) for spelling in (name, *aliases)}
        paths: list[Path] = []
        for spelling, found in self._case.masks.items():
            if normalise(spelling) in wanted:
                paths += found
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
        return read_sparse_ct(path, self._sparse, read_spacing(self._case.spacing[0]))

    def _read_mask(self, path: Path) -> np.ndarray:
        """(Z, Y, X) bool on the case's grid, a new array."""
        if self._sparse:
            return read_sparse_mask(path, self._sparse)
        image = read_ct(path)
        if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
            raise InputError(f"{path.name}: expected a 3D mask of one value a voxel, got another kind; export it again")
        return self._place(_as_binary(image, path.name), path.name) != 0

    def _place(self, image: sitk.Image, name: str) -> np.ndarray:
        """Array of an image on the case's grid; what had to be moved is noted."""
        assert self.grid is not None
        placed = place_on_grid(image, self.grid, name)
        if placed.moved:
            outside = f"; {placed.lost} voxels lie outside the CT" if placed.lost else ""
            text = f"{name} is stored on another extent or orientation; put in its place{outside}"
            self._note("other_grid", text)
        return placed.array


def _require_one(paths: list[Path], what: str) -> None:
    if len(paths) > 1:
        found = ", ".join(map(str, paths))
        raise InputError(f"expected one {what}, got {found}; give a folder that holds the case once")


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
