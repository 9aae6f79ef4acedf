"""The one writer of images: what was written is read back before it gets its name.

ITK says nothing where a disk is full: its compressed files are then cut.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from soars_nnunet.cascade.storage import replacing

GEOMETRY_TOLERANCE = 2e-3
"""By which formats may round: cosines, mm of the origin, and parts of the spacing."""


def write_image(
    image: sitk.Image,
    path: Path,
    then: Callable[[Path], None] | None = None,
    *,
    finish: Callable[[Path], None] | None = None,
    read: Callable[[str], sitk.Image] | None = None,
) -> None:
    """Write an image, compressed, whole or not at all.

    Args:
        image: Of any pixel type.
        path: Where to; its ending says the format, and its folder is made if need be. What lies there is replaced only
            by a file that was read back and holds the very voxels.
        then: Called with the temporary file once it was read back, before it is renamed; None for nothing.
        finish: Called with the temporary file before it is read back, to add what ITK does not write; None for nothing.
        read: Reads it back; None for ITK's reader, which takes no axes that are sheared ever so little.

    Raises:
        OSError: If the disk is full or fails; what lay there before is kept.
    """

    def check(written: Path) -> None:
        _require_read_back(image, written, path, read or sitk.ReadImage)
        if then is not None:
            then(written)

    with replacing(path, check) as temporary:
        try:
            sitk.WriteImage(image, str(temporary), useCompression=True)
            if finish is not None:
                finish(temporary)
        except (RuntimeError, ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise _not_written(path, _last_line(error)) from error


def _require_read_back(image: sitk.Image, written: Path, path: Path, read: Callable[[str], sitk.Image]) -> None:
    """Check a written file, which is to become ``path``, against its image."""
    try:
        if path.name.endswith(".gz"):
            _read_to_the_end(written)
        found = read(str(written))
    except (RuntimeError, EOFError, OSError, ValueError, zlib.error) as error:
        raise _not_written(path, f"a cut or unreadable file ({_last_line(error)})") from error
    difference = _difference(image, found)
    if difference:
        raise _not_written(path, difference)


def _read_to_the_end(written: Path) -> None:
    """Read a gzip stream with its checksum; ITK fills what is missing with zeros."""
    with gzip.open(written) as stream:
        while stream.read(1 << 22):
            pass


def _difference(image: sitk.Image, found: sitk.Image) -> str | None:
    """What is not as it was, in words; None if all is."""
    if image.GetSize() != found.GetSize() or image.GetPixelID() != found.GetPixelID():
        return "another size or pixel type"
    pairs = (
        (image.GetOrigin(), found.GetOrigin()),
        (image.GetDirection(), found.GetDirection()),
        (np.ones(image.GetDimension()), np.divide(found.GetSpacing(), image.GetSpacing())),
    )
    for expected, got in pairs:
        # written in single precision
        if not np.allclose(expected, got, rtol=1e-6, atol=GEOMETRY_TOLERANCE):
            return "another geometry"
    written, read = sitk.GetArrayViewFromImage(image), sitk.GetArrayViewFromImage(found)
    same = written == read
    if not same.all() and np.issubdtype(written.dtype, np.inexact):
        same |= ~np.isfinite(written)  # which ITK reads as zeros
    return None if same.all() else "other voxels"


def _not_written(path: Path, got: str) -> OSError:
    return OSError(
        f"{path}: expected to read back what was written, got {got}; is the disk full? Free space and rerun "
        "(what lay there before is kept)"
    )


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("sitk::ERROR: ") if lines else type(error).__name__
