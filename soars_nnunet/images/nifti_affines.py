"""Keeps the sform, the qform and their codes of a NIfTI file in what is made of it.

ITK writes both codes as 1 and both affines as one, whatever it has read. No torch here.
"""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np

from soars_nnunet.images.nifti_header import read_nifti_header

CODES = ("qform_code", "sform_code")
QFORM = ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
SFORM = ("srow_x", "srow_y", "srow_z")
GEOMETRY_AXES = slice(0, 4)
"""Of pixdim: the sign of the qform's third axis, and the spacing."""

ROUNDING = 1e-4
"""mm, and parts of a quaternion, by which affines that are one may differ in single precision."""


def carry_affines(written: Path, source: Path) -> None:
    """Give a NIfTI file that ITK has written on the grid of another one that one's affines and codes.

    Args:
        written: Changed where it says something else, else left as it is byte for byte.
        source: Whose grid it is on; nothing is done where one of the two is no NIfTI file by its name.
    """
    if not (_is_nifti(written) and _is_nifti(source)):
        return
    theirs = read_nifti_header(source).header
    file = read_nifti_header(written)
    ours = file.header
    if _says_the_same(ours, theirs):
        return
    for name in (*CODES, *QFORM, *SFORM):
        ours[name] = theirs[name]
    ours["pixdim"][GEOMETRY_AXES] = theirs["pixdim"][GEOMETRY_AXES]
    content = written.read_bytes()
    if file.voxels.compressed:
        content = gzip.decompress(content)
    content = ours.binaryblock + content[len(ours.binaryblock) :]
    written.write_bytes(gzip.compress(content, 6, mtime=0) if file.voxels.compressed else content)


def _says_the_same(ours: nibabel.Nifti1Header, theirs: nibabel.Nifti1Header) -> bool:
    """Whether codes and affines of two headers are one but for rounding; an affine of code 0 counts for nothing."""
    if any(int(ours[code]) != int(theirs[code]) for code in CODES):
        return False
    if int(theirs["qform_code"]):
        if not np.allclose(ours["pixdim"][GEOMETRY_AXES], theirs["pixdim"][GEOMETRY_AXES], rtol=0, atol=ROUNDING):
            return False
        if not np.allclose(_numbers(ours, QFORM), _numbers(theirs, QFORM), rtol=0, atol=ROUNDING):
            return False
    same_sform = np.allclose(_numbers(ours, SFORM), _numbers(theirs, SFORM), rtol=0, atol=ROUNDING)
    return same_sform or not int(theirs["sform_code"])


def _numbers(header: nibabel.Nifti1Header, names: tuple[str, ...]) -> np.ndarray:
    return np.concatenate([np.ravel(header[name]).astype(float) for name in names])


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith((".nii", ".nii.gz"))
