"""What ITK's reader does not say of a NIfTI file's voxels: that they are cut, go on, or hold NaN. No torch here."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np

from soars_nnunet.images.nifti_header import read_nifti_header

BLOCK_BYTES = 1 << 22
"""Read at a time."""


def check_complete(path: Path) -> None:
    """Check that a compressed NIfTI file holds what its header announces, and no more.

    It is read to the end of the stream, where gzip compares its checksum, but not beyond what the header announces:
    zeros without end behind an image take a moment.

    Raises:
        EOFError: If it holds fewer bytes.
        InputError: If it holds more, or its header cannot be used.
    """
    voxels = read_nifti_header(path).voxels
    if not voxels.compressed:
        return  # the file's size has told
    held = 0
    with gzip.open(path) as stream:
        while chunk := stream.read(BLOCK_BYTES):
            held += len(chunk)
            if held > voxels.end + voxels.padding:
                raise voxels.too_long(path, held)
    if held < voxels.end:
        raise EOFError(f"{held} of {voxels.end} bytes")


def count_not_finite(path: Path) -> int:
    """Voxels of a floating NIfTI that are NaN or infinite, which ITK's reader turns into zeros."""
    image = _load(path)
    if not np.issubdtype(image.get_data_dtype(), np.floating):
        return 0
    slices = np.moveaxis(np.asanyarray(image.dataobj), -1, 0)  # one at a time: masks of all would count in the memory
    return sum(int(np.count_nonzero(~np.isfinite(part))) for part in slices)


def read_voxels(path: Path) -> np.ndarray:
    """Values (..., Z, Y, X) of a NIfTI file, scaled as its header says, without ITK."""
    return np.ascontiguousarray(np.asanyarray(_load(path).dataobj).T)


def _load(path: Path) -> nibabel.Nifti1Image:
    """The image by nibabel, which goes by the name where ITK and we go by the content."""
    file = read_nifti_header(path)
    kind = nibabel.Nifti2Image if isinstance(file.header, nibabel.Nifti2Header) else nibabel.Nifti1Image
    compressed = file.voxels.compressed
    if path.name.lower().endswith(".gz") == compressed:
        return kind.from_filename(path)
    content = path.read_bytes()
    return kind.from_bytes(gzip.decompress(content) if compressed else content)
