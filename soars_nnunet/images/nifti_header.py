"""What a NIfTI header says, and whether it can be trusted: sizes, values, units.

ITK's reader takes 1 mm for a spacing that is 0 or no number, mirrors an axis of negative spacing, and adds an intercept
that the standard has ignored. Where it goes on in silence, the file is refused here. No torch here.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel

from soars_nnunet.images.entry import require_file
from soars_nnunet.images.refusal import Voxels, damaged, refused

KINDS = {348: nibabel.Nifti1Header, 540: nibabel.Nifti2Header}
"""Header class by the size that a header's first field tells."""

SINGLE_FILE_MAGIC = {348: b"n+1", 540: b"n+2"}
"""By header size: what marks a file that holds header and voxels."""

UNITS = {1: "metres", 3: "microns"}
"""Spatial units of ``xyzt_units`` other than mm (2) and not told (0)."""

MAX_AXES = 7
"""Axes that a header can describe."""


@dataclass(frozen=True)
class NiftiFile:
    """The header of a NIfTI file.

    Attributes:
        path: The file.
        header: As nibabel parses it, nothing corrected.
        voxels: What it announces.
        notes: What is doubtful but usable, in sentences.
    """

    path: Path
    header: nibabel.Nifti1Header
    voxels: Voxels
    notes: tuple[str, ...] = ()


def read_nifti_header(path: Path) -> NiftiFile:
    """Read and check the header of a NIfTI-1 or NIfTI-2 file, and the file's size against it; no voxel is read.

    The content decides whether it is compressed, not the name.

    Raises:
        InputError: If it is no ordinary file, none of NIfTI, cut, longer than its voxels, or a field that the voxels,
            their values or their spacing depend on makes no sense.
    """
    held = require_file(path)
    start, compressed = _first_bytes(path, held)
    header = _parsed(path, start)
    voxels = _voxels(path, header, compressed)
    voxels.check_held(path, held)
    notes = _check_values(path, header)
    _check_spacing(path, header)
    return NiftiFile(path, header, voxels, tuple(notes))


def _first_bytes(path: Path, held: int) -> tuple[bytes, bool]:
    """Beginning of a file, decompressed, and whether it was compressed.

    Raises:
        InputError: If there is too little.
    """
    if not held:
        raise damaged(path, "it is empty")
    longest = max(KINDS)
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            start = gzip.GzipFile(fileobj=raw).read(longest) if compressed else raw.read(longest)
    except (OSError, EOFError, zlib.error) as error:
        raise damaged(path, str(error)) from error
    if len(start) < min(KINDS):
        raise damaged(path, f"{len(start)} bytes, where a NIfTI header has {min(KINDS)}")
    return start, compressed


def _parsed(path: Path, start: bytes) -> nibabel.Nifti1Header:
    """Header of a file's first bytes.

    Raises:
        InputError: If they are no NIfTI header of a single file.
    """
    for order in "<>":
        (size,) = struct.unpack_from(f"{order}i", start)
        if size in KINDS and len(start) >= size:
            break
    else:
        raise damaged(path, "no NIfTI header")
    header = KINDS[size](start[:size], endianness=order, check=False)
    magic = bytes(header["magic"])[:3]
    if magic != SINGLE_FILE_MAGIC[size]:
        raise refused(
            path,
            f"the mark {SINGLE_FILE_MAGIC[size].decode()} of a NIfTI file",
            f"{magic!r}, as Analyze files and pairs of .hdr and .img have, which do not tell left from right",
            "convert it again from its source to one NIfTI file",
        )
    return header


def _voxels(path: Path, header: nibabel.Nifti1Header, compressed: bool) -> Voxels:
    """What a header announces.

    Raises:
        InputError: If the number of axes, the type of values or the place of the first voxel make no sense.
    """
    dims = [int(length) for length in header["dim"]]
    axes = dims[0]
    if not 1 <= axes <= MAX_AXES:
        raise damaged(path, f"its header announces {axes} axes")
    try:
        kind = header.get_data_dtype()
    except (KeyError, nibabel.spatialimages.HeaderDataError):
        raise damaged(path, f"its header names a data type, {int(header['datatype'])}, that there is not") from None
    if not kind.itemsize:
        raise damaged(path, "its header names no data type")
    offset = float(header["vox_offset"])
    first = int(header["sizeof_hdr"]) + 4
    if not (math.isfinite(offset) and offset >= first and offset.is_integer()):
        raise damaged(path, f"its header puts the first voxel at byte {offset:g} (vox_offset), which is not behind it")
    return Voxels(dims[1 : axes + 1], kind.itemsize, int(offset), compressed)


def _check_values(path: Path, header: nibabel.Nifti1Header) -> list[str]:
    """Check how stored values become HU or labels.

    Returns:
        What is doubtful but usable.

    Raises:
        InputError: If readers would not agree on them.
    """
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    unset = math.isnan(slope) and math.isnan(intercept)  # nibabel's way to say that there is no scaling
    unscaled = slope == 0 and intercept == 0
    if not (unset or unscaled) and not (math.isfinite(slope) and math.isfinite(intercept) and slope):
        raise refused(
            path,
            "a finite scale of the values (scl_slope, scl_inter)",
            f"slope {slope:g} and intercept {intercept:g}, which readers take in different ways",
            "convert it again from its source",
        )
    bits, kind = int(header["bitpix"]), header.get_data_dtype()
    if bits != 8 * kind.itemsize:
        return [f"the header says {bits} bits a voxel beside values of type {kind}; the type was taken"]
    return []


def _check_spacing(path: Path, header: nibabel.Nifti1Header) -> None:
    """Check unit and numbers of the spacing.

    Raises:
        InputError: If it is not in mm, or not three finite positive numbers.
    """
    unit = int(header["xyzt_units"]) % 8
    if unit not in (0, 2):
        raise refused(
            path,
            "mm (xyzt_units)",
            UNITS.get(unit, f"an unknown unit ({unit})"),
            "convert the spacing and the positions to mm, or mend the unit if they are in mm",
        )
    spatial = min(3, int(header["dim"][0]))
    spacing = [float(number) for number in header["pixdim"][1 : spatial + 1]]
    if not all(math.isfinite(number) and number > 0 for number in spacing):
        shown = " x ".join(f"{number:g}" for number in spacing)
        raise refused(
            path,
            "finite positive voxel sizes in mm (pixdim)",
            f"{shown} (x, y, z)",
            "readers would take 1 mm or mirror an axis: convert it again from its source, or mend pixdim",
        )
