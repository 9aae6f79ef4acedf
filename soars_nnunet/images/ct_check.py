"""Checks that an image is a CT in HU that the pipeline can work on.

Every ``InputError`` is one line: what was expected, what was found, what to do. No torch here.
"""

from __future__ import annotations

import math

import numpy as np
import SimpleITK as sitk

from soars_nnunet.errors import InputError

MIN_VOXELS = 8
"""Fewest voxels on every axis."""

MAX_SPACING_MM = 20.0
"""Coarser is no CT, but a header in another unit."""

MICROMETRES = (100.0, 20_000.0)
"""Spacings of CTs, 0.1 to 20 mm, in that unit."""

FAT_HU = -50.0
"""A CT has something this low: air, or at least fat (-120 to -60 HU) in one that is cropped to the body."""

BONE_HU = 150.0
"""A head-and-neck CT has something this high: bone, also in a CT clipped to a soft-tissue window."""

MAX_HU = 70_000.0
"""Beyond 16 bits. Metal reaches 3,000 to 32,767 HU, extended scales 65,535."""

MAX_LABELS = 64
"""An integer image without negative values and with at most so many different ones is a label map."""

SAMPLE_VOXELS = 2_000_000
"""About so many voxels, evenly strided, serve for value statistics."""

DIRECTION_TOLERANCE = 1e-3
"""Largest deviation of the direction cosines from an orthonormal matrix; formats round at 1e-6."""


def check_ct(image: sitk.Image, name: str) -> sitk.Image:
    """Return the image if it is a CT in HU that the pipeline can work on.

    Geometry: three axes of at least ``MIN_VOXELS``, one value a voxel, spacing in (0,
    ``MAX_SPACING_MM``], orthonormal direction. Values: finite, not constant, no label map, no
    larger than ``MAX_HU``, from ``FAT_HU`` or below to ``BONE_HU`` or above, and not a CT stored
    with an offset of about 1000 (see ``_has_stored_offset``). Padding of any depth, metal and CTs
    cropped to the body pass.

    Args:
        image: As read by ``read_ct``.
        name: Case or file name for the messages.

    Returns:
        The same image.

    Raises:
        InputError: With one line, at the first check that fails.
    """
    _check_geometry(image, name)
    values = sitk.GetArrayViewFromImage(image)
    low, high = float(values.min()), float(values.max())
    if not math.isfinite(low) or not math.isfinite(high):
        count = int(values.size - np.count_nonzero(np.isfinite(values)))
        raise InputError(f"{name}: expected finite HU, got NaN or infinity in {count} voxels; replace them by -1024")
    if low == high:
        raise InputError(f"{name}: expected a CT in HU, got a constant image of {low:g}; check the export")
    reason = _not_hu(_sample(values), low, high)
    if reason:
        raise InputError(
            f"{name}: expected a CT in HU (air near -1000, water 0, bone above 300), "
            f"got values from {low:g} to {high:g}, {reason}"
        )
    return image


def _check_geometry(image: sitk.Image, name: str) -> None:
    """The geometry part of ``check_ct``, which reads no voxel.

    Raises:
        InputError: With one line, at the first check that fails.
    """

    def fail(expected: str, got: str, action: str) -> None:
        raise InputError(f"{name}: expected {expected}, got {got}; {action}")

    size, spacing = image.GetSize(), image.GetSpacing()
    if image.GetDimension() != 3:
        by = " x ".join(map(str, size))
        fail("a 3D CT volume", f"a {image.GetDimension()}D image of {by}", "export one CT series as one volume")
    if image.GetNumberOfComponentsPerPixel() != 1 or "complex" in image.GetPixelIDTypeAsString():
        components = image.GetNumberOfComponentsPerPixel()
        kind = f"{components} components ({image.GetPixelIDTypeAsString()})"
        fail("one HU value a voxel", kind, "export the CT itself, not a colour or vector image")
    if min(size) < MIN_VOXELS:
        shape = " x ".join(map(str, size))
        fail(f"at least {MIN_VOXELS} voxels on every axis", f"{shape} (x, y, z)", "use the whole CT series")
    if not all(math.isfinite(mm) and 0 < mm <= MAX_SPACING_MM for mm in spacing):
        shown = " x ".join(f"{mm:g}" for mm in spacing)
        advice = "correct the header, in mm"
        if all(MICROMETRES[0] <= mm <= MICROMETRES[1] for mm in spacing):
            advice += ", which looks like micrometres: multiply by 0.001"
        fail(f"a spacing of 0 to {MAX_SPACING_MM:g} mm", f"{shown} (x, y, z)", advice)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    deviation = np.abs(direction.T @ direction - np.eye(3)).max()
    if not deviation <= DIRECTION_TOLERANCE or not np.isfinite(image.GetOrigin()).all():
        fail(
            "perpendicular axes of unit length and a finite origin",
            f"direction {np.round(direction, 3).tolist()}, origin {image.GetOrigin()}",
            "resample a tilted-gantry CT to a rectangular grid or correct the header",
        )


def _sample(values: np.ndarray) -> np.ndarray:
    """About ``SAMPLE_VOXELS`` voxels of a (Z, Y, X) array at an even stride, flat."""
    stride = max(1, math.ceil((values.size / SAMPLE_VOXELS) ** (1 / 3)))
    return values[::stride, ::stride, ::stride].ravel()


def _not_hu(sample: np.ndarray, low: float, high: float) -> str | None:
    """Why the values cannot be HU and what to do, or None."""
    if high > MAX_HU:
        return f"more than {MAX_HU:g}; check the export"
    whole = np.issubdtype(sample.dtype, np.integer) or bool(np.all(sample == np.round(sample)))
    if low >= 0 and whole and high <= 255 and len(np.unique(sample)) <= MAX_LABELS:
        return "few whole numbers, as in a label map; give the CT, not its labels"
    if _has_stored_offset(sample, low):
        return "as in a CT stored with an offset; if it is one, subtract 1000 (or 1024, minus the scanner's intercept)"
    if low >= 0 and whole and high <= 255:
        return "as in an 8-bit picture; export the CT with its HU"
    if high - low <= 50:
        return "as in a normalised image, an MR or a PET; give the CT before normalisation"
    if low > FAT_HU or high < BONE_HU:
        return f"and not from {FAT_HU:g} or below to {BONE_HU:g} or above; give a CT, not an MR, with its HU"
    return None


def _has_stored_offset(sample: np.ndarray, low: float) -> bool:
    """Whether values look like HU + 1000: tissue near 1000, nothing between padding and air at 0.

    In HU some voxels lie between -1100 and -200 (air, skin, airways); a CT cropped to the body may
    lack them, but then has more at 250 to 700 (bone) than at 850 to 1300 (densest bone, enamel).
    With an offset it is the other way round: 850 to 1300 is soft tissue. The lowest value is left
    out, since it may be padding.
    """
    rest = sample[sample > low]
    if not rest.size:
        return False

    def share(start: float, stop: float) -> float:
        return float(np.count_nonzero((rest >= start) & (rest <= stop))) / rest.size

    return share(-1100, -200) < 1e-3 and share(850, 1300) > max(0.05, share(250, 700))
