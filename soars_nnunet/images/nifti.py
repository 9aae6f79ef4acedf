"""What ITK's reader does not say of a NIfTI file: that it is truncated, or holds NaN. No torch here."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from typing import BinaryIO

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

MAX_COMPRESSION = 1100
"""Gzip makes a file at most 1032 times smaller."""

_NIFTI_FIELDS = {348: (("8h", 40), ("h", 72), ("f", 108)), 540: (("8q", 16), ("h", 14), ("q", 168))}
"""By header size (NIfTI-1, NIfTI-2): struct code and position of dim, bitpix and vox_offset."""


def check_size(path: Path) -> None:
    """Raise EOFError if a NIfTI file cannot hold what its header announces, even if compressed as well as can be."""
    with path.open("rb") as raw:
        compressed = _is_gzip(raw)
        needed = _announced_bytes(gzip.GzipFile(fileobj=raw) if compressed else raw)
    held = path.stat().st_size
    if held * (MAX_COMPRESSION if compressed else 1) < needed:
        raise EOFError(f"{held} of {needed} bytes")


def check_complete(path: Path) -> None:
    """Raise EOFError if a compressed NIfTI file holds fewer bytes than its header announces.

    It is read to the end of the stream: gzip then also compares its checksum.
    """
    with path.open("rb") as raw:
        if not _is_gzip(raw):
            return
        with gzip.GzipFile(fileobj=raw) as stream:
            needed = _announced_bytes(stream)
            held = stream.tell()
            while chunk := stream.read(1 << 22):
                held += len(chunk)
    if held < needed:
        raise EOFError(f"{held} of {needed} bytes")


def _is_gzip(raw: BinaryIO) -> bool:
    magic = raw.read(2)
    raw.seek(0)
    return magic == b"\x1f\x8b"


def count_not_finite(path: Path) -> int:
    """Voxels of a floating NIfTI that are NaN or infinite, which ITK's reader turns into zeros."""
    with path.open("rb") as raw:
        compressed = _is_gzip(raw)
    # nibabel goes by the name; ITK and we go by the content
    misnamed = path.name.lower().endswith(".gz") and not compressed
    try:
        image = nibabel.Nifti1Image.from_bytes(path.read_bytes()) if misnamed else nibabel.load(path)
    except (ImageFileError, WrapStructError, HeaderDataError):
        return 0  # no NIfTI that nibabel knows: ITK's reader says what is wrong
    if not np.issubdtype(image.get_data_dtype(), np.floating):
        return 0
    slices = np.moveaxis(np.asanyarray(image.dataobj), -1, 0)  # one at a time: masks of all would count in the memory
    return sum(int(np.count_nonzero(~np.isfinite(part))) for part in slices)


def _announced_bytes(stream: BinaryIO | gzip.GzipFile) -> int:
    """Bytes that a NIfTI-1 or NIfTI-2 header announces, 0 if it is neither; reads the header."""
    header = stream.read(540)
    for order in "<>":
        version = struct.unpack_from(f"{order}i", header)[0]
        if version not in _NIFTI_FIELDS:
            continue
        dims, bits, offset = (struct.unpack_from(order + code, header, start) for code, start in _NIFTI_FIELDS[version])
        return int(offset[0]) + math.prod(max(n, 1) for n in dims[1 : dims[0] + 1]) * bits[0] // 8
    return 0
