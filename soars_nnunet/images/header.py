"""What the header of an image file says, checked before any voxel is read. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from soars_nnunet.images.entry import require_file
from soars_nnunet.images.listing import file_ending
from soars_nnunet.images.nifti_geometry import NiftiGeometry, read_geometry
from soars_nnunet.images.nifti_header import read_nifti_header
from soars_nnunet.images.refusal import damaged, refused
from soars_nnunet.images.text_headers import check_meta, check_nrrd


@dataclass(frozen=True)
class ImageHeader:
    """Geometry and type of an image file.

    Attributes:
        size: Voxels (x, y, z).
        spacing_mm: (x, y, z).
        origin_mm: LPS.
        direction: Nine cosines, row by row; columns are the axes, LPS.
        components: Values a voxel.
        voxel_bytes: Of one, in memory.
        notes: What is doubtful but usable, in sentences without the file's name.
        is_sheared: Whether the axes had to be made perpendicular: ITK, and so nnU-Net, does not read the file.
    """

    size: Sequence[int]
    spacing_mm: Sequence[float]
    origin_mm: Sequence[float]
    direction: Sequence[float]
    components: int
    voxel_bytes: int
    notes: tuple[str, ...] = ()
    is_sheared: bool = False

    @property
    def bytes(self) -> int:
        """Of all voxels."""
        total = self.voxel_bytes
        for length in self.size:
            total *= length
        return total


def require_header(path: Path) -> ImageHeader:
    """Read and check a header.

    Args:
        path: File with one of ``FILE_ENDINGS``.

    Raises:
        InputError: If it is no ordinary file of such an ending, damaged, longer or shorter than its voxels, or leaves
            in doubt where they lie: spacing, unit, sides, two answers that disagree.
    """
    require_file(path, "a CT file")
    ending = file_ending(path)
    geometry = None
    if ending.startswith(".nii"):
        geometry = read_geometry(path)
        if geometry and geometry.is_sheared:
            return _of_sheared(path, geometry)
    elif ending == ".nrrd":
        check_nrrd(path)
    else:
        check_meta(path)
    return _of_itk(path, geometry.notes if geometry else ())


def require_for_nnunet(path: Path) -> None:
    """Check that nnU-Net, which reads by ITK, reads a training file.

    Raises:
        InputError: If it is sheared ever so little, or as of ``require_header``.
    """
    if require_header(path).is_sheared:
        raise refused(
            path,
            "perpendicular axes, as nnU-Net reads no others in training",
            "axes that are sheared a little",
            "resample it to a rectangular grid, or write a qform of perpendicular axes beside the sform",
        )


def _of_itk(path: Path, notes: tuple[str, ...]) -> ImageHeader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise damaged(path, itk_reason(error)) from error
    components = reader.GetNumberOfComponents()
    scalar = sitk.Image(1, 1, reader.GetPixelID()) if components == 1 else None
    return ImageHeader(
        size=reader.GetSize(),
        spacing_mm=reader.GetSpacing(),
        origin_mm=reader.GetOrigin(),
        direction=reader.GetDirection(),
        components=components,
        voxel_bytes=scalar.GetSizeOfPixelComponent() if scalar else 8 * components,
        notes=notes,
    )


def _of_sheared(path: Path, geometry: NiftiGeometry) -> ImageHeader:
    file = read_nifti_header(path)
    return ImageHeader(
        size=tuple(file.voxels.size[:3]),
        spacing_mm=geometry.spacing_mm,
        origin_mm=geometry.origin_mm,
        direction=tuple(np.ravel(geometry.direction).tolist()),
        components=1,
        voxel_bytes=file.voxels.voxel_bytes,
        notes=geometry.notes,
        is_sheared=True,
    )


def itk_reason(error: Exception) -> str:
    """The last line of what ITK, or another reader, says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("sitk::ERROR: ") if lines else type(error).__name__
