"""Reading CT files.

Every ``InputError`` is one line: what was expected, what was found, what to do. No torch here.
"""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import SimpleITK as sitk

from soars_nnunet.errors import InputError
from soars_nnunet.images.ct_check import MAX_SPACING_MM
from soars_nnunet.images.listing import file_ending
from soars_nnunet.images.nifti import check_complete, check_size, count_not_finite


def read_ct(path: str | Path) -> sitk.Image:
    """Read an image file, without judging its content (see ``check_ct``).

    Args:
        path: File with one of ``FILE_ENDINGS``.

    Returns:
        The image in its own orientation and pixel type.

    Raises:
        InputError: If the file is missing, of another type, unreadable or truncated.
    """
    path = Path(path)
    if not path.is_file():
        found = "a folder" if path.is_dir() else "nothing"
        raise InputError(f"{path}: expected a CT file, found {found}; check the path")
    ending = file_ending(path)
    try:
        # ITK fills what is missing of a truncated NIfTI without a word.
        if not ending.startswith(".nii"):
            return sitk.ReadImage(str(path))
        check_size(path)
        with ThreadPoolExecutor(1) as reader:
            reading = reader.submit(sitk.ReadImage, str(path))
            check_complete(path)
            if count := count_not_finite(path):
                raise InputError(
                    f"{path.name}: expected finite HU, got NaN or infinity in {count} voxels; use -1024 instead"
                )
            return reading.result()
    except InputError:
        raise
    except (RuntimeError, OSError, EOFError, zlib.error, struct.error) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[-1].removeprefix("sitk::ERROR: ") if lines else type(error).__name__
        raise InputError(
            f"{path}: expected a readable image file, got a damaged or truncated one ({reason}); "
            "copy or convert it again from its source"
        ) from error


def read_header(path: Path) -> sitk.ImageFileReader | None:
    """Size, spacing and pixel type of a CT file, without its voxels.

    Returns:
        Reader that knows them; None where they make no sense, of which ``read_ct`` or ``check_ct`` then say why.
    """
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        if path.name.lower().endswith((".nii", ".nii.gz")):
            check_size(path)
    except (RuntimeError, OSError, EOFError, zlib.error, struct.error):
        return None
    return reader if reader.GetDimension() == 3 and max(reader.GetSpacing()) <= MAX_SPACING_MM else None
