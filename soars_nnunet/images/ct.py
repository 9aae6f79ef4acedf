"""Reading CT files.

Every ``InputError`` is one line: what was expected, what was found, what to do. No torch here.
"""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import SimpleITK as sitk
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError

from soars_nnunet.errors import InputError
from soars_nnunet.images.ct_check import MAX_SPACING_MM
from soars_nnunet.images.entry import shown
from soars_nnunet.images.header import ImageHeader, itk_reason, require_header
from soars_nnunet.images.listing import file_ending
from soars_nnunet.images.nifti import check_complete, count_not_finite, read_voxels
from soars_nnunet.images.refusal import damaged, refused

GIB = 2**30

UNREADABLE = (RuntimeError, OSError, EOFError, zlib.error, struct.error, ImageFileError, HeaderDataError)
"""What readers raise at damaged files."""


def read_ct(path: str | Path) -> sitk.Image:
    """Read an image file, without judging its content (see ``check_ct``).

    Args:
        path: File with one of ``FILE_ENDINGS``.

    Returns:
        The image in its own orientation and pixel type.

    Raises:
        InputError: If the file is missing, of another type, unreadable, truncated or longer than its voxels, or its
            header leaves in doubt where they lie (see ``require_header``).
    """
    path = Path(path)
    header = require_header(path)
    free = psutil.virtual_memory().available
    if header.bytes > free:
        need = f"{header.bytes / GIB:.1f} GiB of memory for its voxels"
        raise refused(path, f"to need at most the {free / GIB:.1f} GiB that are free", need, "crop the image")
    try:
        if not file_ending(path).startswith(".nii"):
            return sitk.ReadImage(str(path))
        return _read_nifti(path, header)
    except InputError:
        raise
    except UNREADABLE as error:
        raise damaged(path, itk_reason(error)) from error


def _read_nifti(path: Path, header: ImageHeader) -> sitk.Image:
    """Image of a NIfTI file whose header is good; ITK fills what is missing of a truncated one without a word."""
    with ThreadPoolExecutor(1) as reader:
        reading = None if header.is_sheared else reader.submit(sitk.ReadImage, str(path))
        check_complete(path)
        if count := count_not_finite(path):
            raise InputError(
                f"{shown(path.name)}: expected finite HU, got NaN or infinity in {count} voxels; use -1024 instead"
            )
        if reading is not None:
            return reading.result()
    image = sitk.GetImageFromArray(read_voxels(path).reshape(header.size[::-1]))
    image.SetSpacing(header.spacing_mm)
    image.SetOrigin(header.origin_mm)
    image.SetDirection(header.direction)
    return image


def read_header(path: Path) -> ImageHeader | None:
    """Size, spacing and pixel type of a CT file, without its voxels.

    Returns:
        What it says; None where it makes no sense, of which ``read_ct`` or ``check_ct`` then say why.
    """
    try:
        header = require_header(path)
    except InputError:
        return None
    is_volume = len(header.size) == 3 and header.components == 1
    return header if is_volume and max(header.spacing_mm) <= MAX_SPACING_MM else None
