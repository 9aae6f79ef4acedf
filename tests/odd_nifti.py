"""NIfTI files with a header of one's wish, made with nibabel and changed behind its back."""

import gzip

import nibabel
import numpy as np
from made_cts import head

AFFINE = np.array([[-1.0, 0, 0, 10], [0, -1.2, 0, 20], [0, 0, 3.0, 30], [0, 0, 0, 1]])
"""LPS, as of a scanner: the sides of ``head`` in RAS mm."""


def write_nifti(path, array=None, *, sform=AFFINE, qform=AFFINE, codes=(1, 1), tail=b"", **fields):
    """Write a NIfTI-1 file.

    Args:
        path: Compressed where its name says so.
        array: (Z, Y, X); the made head by default.
        sform: Affine.
        qform: Affine; gives pixdim too.
        codes: Of qform and sform.
        tail: Bytes behind the voxels.
        fields: Other values of header fields; of arrays as {index: value}.
    """
    array = head() if array is None else array
    image = nibabel.Nifti1Image(array.T, AFFINE)
    image.set_sform(sform, codes[1])
    image.set_qform(qform, codes[0])
    content = image.to_bytes()
    header = nibabel.Nifti1Header(content[:348], check=False)
    for name, value in fields.items():
        if isinstance(value, dict):
            for index, number in value.items():
                header[name][index] = number
        else:
            header[name] = value
    content = header.binaryblock + content[348:] + tail
    path.write_bytes(gzip.compress(content, 1) if path.name.endswith(".gz") else content)
    return path


def moved(matrix=None, shift_mm=(0, 0, 0)):
    """``AFFINE`` followed by a matrix (3, 3) and a shift."""
    affine = np.array(AFFINE)
    if matrix is not None:
        affine[:3] = np.asarray(matrix) @ affine[:3]
    affine[:3, 3] += shift_mm
    return affine


def turned(radians):
    """Matrix that turns about the axis of the body."""
    cosine, sine = np.cos(radians), np.sin(radians)
    return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])


def sheared(cosine):
    """``AFFINE`` with its third axis bent towards the second, so that their cosine is this."""
    affine = np.array(AFFINE)
    affine[:3, 2] = 3 * np.array([0, -cosine, np.sqrt(1 - cosine**2)])
    return affine
