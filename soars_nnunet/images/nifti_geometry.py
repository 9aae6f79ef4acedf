"""Where the voxels of a NIfTI file lie: what its sform and its qform say, and which of them is used.

Affines are 4 x 4, from voxel (i, j, k) to mm in RAS, as NIfTI has them. Geometry of images is LPS, as ITK has it.
No torch here.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from soars_nnunet.images.ct_check import DIRECTION_TOLERANCE
from soars_nnunet.images.nifti_header import NiftiFile, read_nifti_header
from soars_nnunet.images.refusal import refused

ROUNDING_MM = 0.1
"""How far corners may lie apart by sform and qform without a word: a quaternion of 32 bits turns by up to 0.0003 rad
near half a turn."""

MAX_APART_MM = 1.0
"""Beyond this, sform and qform say different things: an organ's border would be another."""

SPACING_TOLERANCE = 1e-3
"""Share by which the columns of an sform may differ in length from pixdim, which ITK takes the spacing from."""

ITK_TOLERANCE = 1e-5
"""Deviation from perpendicular axes of unit length that ITK's reader still takes; it refuses some of 1e-4."""

LPS = np.diag([-1.0, -1.0, 1.0])
"""Turns RAS into LPS and back."""

MEND = "write the right one to both (for example with nibabel's set_sform and set_qform), or convert it again"
"""What to do where the two disagree."""


@dataclass(frozen=True)
class Affines:
    """What a header says of the voxels' places.

    Attributes:
        sform: Affine; None where its code is 0.
        qform: Affine; None where its code is 0.
    """

    sform: np.ndarray | None
    qform: np.ndarray | None


@dataclass(frozen=True)
class NiftiGeometry:
    """Geometry that is used of a NIfTI file, in ITK's terms.

    Attributes:
        spacing_mm: (x, y, z).
        origin_mm: LPS.
        direction: (3, 3), orthonormal; columns are the axes, LPS.
        notes: What is doubtful but usable, in sentences.
        is_sheared: Whether the file's axes had to be made perpendicular, so that ITK's own reader refuses it.
    """

    spacing_mm: Sequence[float]
    origin_mm: Sequence[float]
    direction: np.ndarray
    notes: tuple[str, ...]
    is_sheared: bool


def read_geometry(path: Path) -> NiftiGeometry | None:
    """Read and check the geometry of a NIfTI file of three axes.

    Where only one of sform and qform is there, it is used. Where both are, the sform is, as by nibabel and ITK; an
    sform that is sheared within the tolerance gives way to the qform, as by ITK, or is made orthonormal without one.

    Returns:
        The geometry; None where the image has other than three axes, which ``check_ct`` and ``read_label_map`` refuse.

    Raises:
        InputError: If the header cannot be used, both codes are 0, the two disagree by more than ``MAX_APART_MM``, the
            spacing in them is another than pixdim's, or the axes are sheared.
    """
    file = read_nifti_header(path)
    shape = [length for length in file.voxels.size]
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) != 3:
        return None
    affines = read_affines(file)
    notes = list(file.notes)
    _check_columns(file, affines)
    if affines.sform is not None and affines.qform is not None:
        notes += _compare(file, affines.sform, affines.qform, shape)
    sheared = affines.sform is not None and _deviation(affines.sform) > ITK_TOLERANCE
    if affines.sform is not None and not (sheared and affines.qform is not None):
        used = affines.sform
    else:
        assert affines.qform is not None
        used, sheared = affines.qform, False
    if sheared:
        notes.append(f"axes sheared by {_deviation(used):.1g}, within {DIRECTION_TOLERANCE:g}: taken as perpendicular")
    spacing_mm = np.linalg.norm(used[:3, :3], axis=0)
    return NiftiGeometry(
        spacing_mm=tuple(spacing_mm.tolist()),
        origin_mm=tuple((LPS @ used[:3, 3]).tolist()),
        direction=LPS @ nearest_orthonormal(used[:3, :3] / spacing_mm),
        notes=tuple(notes),
        is_sheared=sheared,
    )


def read_affines(file: NiftiFile) -> Affines:
    """Both affines of a header.

    Raises:
        InputError: If both codes are 0, or a number of one that counts is not finite.
    """
    header = file.header
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sform, _ = header.get_sform(coded=True)
            qform, _ = header.get_qform(coded=True)
    except (HeaderDataError, ValueError, np.linalg.LinAlgError) as error:
        raise refused(file.path, "a rotation in the qform", f"none ({error})", MEND) from error
    if sform is None and qform is None:
        raise refused(
            file.path,
            "an sform or a qform, which tell left from right and front from back",
            "neither (both codes are 0), which nibabel and ITK read as different orientations",
            "convert it again from its source, or set the affine that is known to be right (nibabel's set_sform)",
        )
    for name, affine in (("sform", sform), ("qform", qform)):
        if affine is not None and not np.isfinite(affine).all():
            raise refused(file.path, f"finite numbers in the {name}", "NaN or infinity", MEND)
    return Affines(sform, qform)


def nearest_orthonormal(matrix: np.ndarray) -> np.ndarray:
    """Nearest matrix of perpendicular columns of unit length, by polar decomposition; mirroring is kept.

    Args:
        matrix: (3, 3), not singular.
    """
    left, _, right = np.linalg.svd(matrix)
    return left @ right


def apart_mm(one: np.ndarray, other: np.ndarray, shape: Sequence[int]) -> float:
    """Largest distance between the places of a corner voxel by two affines, mm.

    Args:
        one: Affine.
        other: Affine.
        shape: Voxels (i, j, k).
    """
    last = np.subtract(shape, 1)
    corners = np.indices((2, 2, 2)).reshape(3, -1).T * last
    moved = corners @ (one - other)[:3, :3].T + (one - other)[:3, 3]
    return float(np.linalg.norm(moved, axis=1).max())


def _check_columns(file: NiftiFile, affines: Affines) -> None:
    """Check length and angles of an sform's columns; a qform has right angles and the lengths of pixdim.

    Raises:
        InputError: If the lengths are not those of pixdim, or the columns are far from perpendicular.
    """
    if affines.sform is None:
        return
    lengths = np.linalg.norm(affines.sform[:3, :3], axis=0)
    pixdim = np.asarray(file.header["pixdim"][1:4], float)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise refused(file.path, "three axes in the sform", f"columns of length {_by(lengths)} (x, y, z)", MEND)
    deviation = _deviation(affines.sform)
    if deviation > DIRECTION_TOLERANCE:
        raise refused(
            file.path,
            "perpendicular axes",
            f"sheared axes in the sform (off by {deviation:.2g})",
            "resample a tilted-gantry CT to a rectangular grid, or mend the sform",
        )
    if not np.allclose(lengths, pixdim, rtol=SPACING_TOLERANCE, atol=0):
        raise refused(
            file.path,
            "one spacing in sform and pixdim",
            f"{_by(lengths)} mm in the sform and {_by(pixdim)} mm in pixdim (x, y, z)",
            MEND.replace("to both", "to sform and pixdim"),
        )


def _compare(file: NiftiFile, sform: np.ndarray, qform: np.ndarray, shape: Sequence[int]) -> list[str]:
    """What is to be said where sform and qform disagree within the tolerance.

    Raises:
        InputError: If they disagree beyond it.
    """
    apart = apart_mm(sform, qform, shape)
    if apart > MAX_APART_MM:
        one, other = (_letters(affine) for affine in (sform, qform))
        orientations = f"{one} and {other}" if one != other else f"both {one}"
        raise refused(
            file.path,
            f"an sform and a qform that agree to {MAX_APART_MM:g} mm",
            f"corners {apart:.1f} mm apart (orientations: {orientations})",
            MEND,
        )
    if apart > ROUNDING_MM:
        used = "qform" if _deviation(sform) > ITK_TOLERANCE else "sform"
        return [f"sform and qform disagree by {apart:.2f} mm at the corners; the {used} was used"]
    return []


def _letters(affine: np.ndarray) -> str:
    """Orientation by the letters that the axes point to, as in ``LPS``."""
    return "".join(code or "?" for code in nibabel.aff2axcodes(affine))


def _deviation(affine: np.ndarray) -> float:
    """How far the axes are from perpendicular: largest cosine between two of them."""
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.abs(axes.T @ axes - np.eye(3)).max())


def _by(numbers: np.ndarray) -> str:
    return " x ".join(f"{number:.4g}" for number in numbers)
