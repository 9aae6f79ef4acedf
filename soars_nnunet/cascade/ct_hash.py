"""A hash that a CT file shares with no other content, also where its voxels lie in another file."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import SimpleITK as sitk

from soars_nnunet.cascade.storage import file_hash, json_hash

HEADER_BYTES = 1 << 16
"""In which a header says where its voxels lie."""

LOCAL_META_IMAGE = re.compile(rb"^\s*ElementDataFile\s*=\s*LOCAL\s*$", re.IGNORECASE | re.MULTILINE)
DETACHED_NRRD = re.compile(rb"^data ?file\s*:", re.IGNORECASE | re.MULTILINE)
DETACHED_NIFTI = (b"ni1\0", b"ni2\0")
"""At the end of a NIfTI-1 header, and after the size of a NIfTI-2 header, where voxels lie in an ``.img`` file."""


def ct_hash(path: Path) -> str:
    """SHA-256 of an image file; where its voxels lie in another file, of both.

    Raises:
        OSError: If the file cannot be read; other files that cannot be are for ``read_ct`` to refuse.
    """
    own = file_hash(path)
    if not has_voxels_elsewhere(path):
        return own
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        return json_hash([own, None])
    values = sitk.GetArrayViewFromImage(image)
    return json_hash([own, str(values.dtype), list(values.shape), hashlib.sha256(values.tobytes()).hexdigest()])


def has_voxels_elsewhere(path: Path) -> bool:
    """Whether a file is the header of voxels in another file."""
    with path.open("rb") as file:
        header = file.read(HEADER_BYTES)
    name = path.name.lower()
    if name.endswith((".mhd", ".mha")):
        return LOCAL_META_IMAGE.search(header) is None
    if name.endswith((".nrrd", ".nhdr")):
        fields, _, _ = header.replace(b"\r\n", b"\n").partition(b"\n\n")
        return DETACHED_NRRD.search(fields) is not None
    return name.endswith(".nii") and (header[344:348] in DETACHED_NIFTI or header[4:8] in DETACHED_NIFTI)
