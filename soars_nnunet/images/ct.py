"""Reading input CTs, checking that they are CTs in HU, and the frame the networks see.

Networks work in the frame of nnU-Net's ``SimpleITKIOWithReorient``: the image reoriented to "RAS",
arrays (Z, Y, X). Results go back to the input's own orientation and carry its geometry unchanged.
Every ``InputError`` is one line: what was expected, what was found, what to do. No torch here.
"""

from __future__ import annotations

import math
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet.errors import InputError
from soars_nnunet.images.nifti import check_complete, check_size, count_not_finite

FILE_ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha", ".mhd")

NETWORK_ORIENTATION = "RAS"
"""SimpleITK orientation code that nnU-Net's ``SimpleITKIOWithReorient`` reads every image in."""

AIR_HU = -1024.0
"""Floor of the network's input; padding of -2000, -3024, ... is raised to it."""

MIN_VOXELS = 8

MAX_SPACING_MM = 20.0

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

_FLIP = str.maketrans("RLAPSI", "LRPAIS")


@dataclass(frozen=True)
class Scan:
    """A CT that was checked and brought into the networks' frame.

    Attributes:
        name: Case name.
        image: As read, in its own orientation.
        ct_hu: (1, Z, Y, X) float32, see ``to_network_frame``.
        properties: Of that frame, with ``spacing`` (Z, Y, X) in mm.
        seconds: What checking and orienting took.
    """

    name: str
    image: sitk.Image
    ct_hu: np.ndarray
    properties: dict[str, Any]
    seconds: float

    @classmethod
    def of(cls, image: sitk.Image, name: str) -> Scan:
        """Check an image and orient it.

        Raises:
            InputError: If it is not a usable CT.
        """
        started = time.perf_counter()
        ct_hu, properties = to_network_frame(check_ct(image, name))
        return cls(name, image, ct_hu, properties, time.perf_counter() - started)


def list_cts(path: str | Path) -> list[tuple[str, Path]]:
    """CT files by case name.

    Args:
        path: One CT file, or a folder whose ``FILE_ENDINGS`` files are taken (hidden files and
            subfolders are not).

    Returns:
        (case name, file), sorted by name. The name is the file's without its ending and without
        nnU-Net's ``_0000`` suffix.

    Raises:
        InputError: If the path is missing, is no CT file, is a folder without CT files, or two
            files have one case name.
    """
    path = Path(path)
    if path.is_file():
        _file_ending(path)
        return [(_case_name(path), path)]
    if not path.is_dir():
        raise InputError(f"{path}: expected a CT file or a folder of CTs, found nothing; check the path")
    cases: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        if file.name.startswith(".") or not file.is_file() or not file.name.lower().endswith(FILE_ENDINGS):
            continue
        other = cases.setdefault(_case_name(file), file)
        if other != file:
            raise InputError(
                f"{path}: expected one CT a case, got {other.name} and {file.name} for case '{_case_name(file)}'; "
                "rename or remove one"
            )
    if not cases:
        raise InputError(
            f"{path}: expected CT files ({', '.join(FILE_ENDINGS)}), found none; "
            "convert DICOM series first, for example with dcm2niix"
        )
    return sorted(cases.items())


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
    ending = _file_ending(path)
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
    sample = _sample(values)
    reason = _not_hu(sample, low, high)
    if reason:
        raise InputError(
            f"{name}: expected a CT in HU (air near -1000, water 0, bone above 300), "
            f"got values from {low:g} to {high:g}, {reason}"
        )
    return image


def to_network_frame(image: sitk.Image) -> tuple[np.ndarray, dict[str, Any]]:
    """Array and properties as nnU-Net's ``SimpleITKIOWithReorient`` reads them from a file.

    Args:
        image: A 3D image of one value a voxel.

    Returns:
        (1, Z, Y, X) float32 in HU, reoriented to "RAS" and raised to ``AIR_HU`` where lower; and
        the properties ``spacing`` ([z, y, x], mm) and ``sitk_stuff`` (the reoriented geometry and
        the original orientation's code).
    """
    oriented = sitk.DICOMOrient(image, NETWORK_ORIENTATION)
    array = sitk.GetArrayViewFromImage(oriented)[None].astype(np.float32)
    np.maximum(array, np.float32(AIR_HU), out=array)
    properties = {
        "sitk_stuff": {
            "spacing": oriented.GetSpacing(),
            "origin": oriented.GetOrigin(),
            "direction": oriented.GetDirection(),
            "original_orientation": _orientation(image),
        },
        "spacing": [abs(mm) for mm in oriented.GetSpacing()[::-1]],
    }
    return array, properties


def from_network_frame(labels: np.ndarray, reference: sitk.Image) -> sitk.Image:
    """Bring labels from the network's frame back onto the grid of the image they belong to.

    The axes are undone from the same orientation code that ``to_network_frame`` started from, so
    this is its exact inverse also for oblique directions halfway between two axes.

    Args:
        labels: (Z, Y, X) uint8 in the frame of ``to_network_frame(reference)``.
        reference: The input image.

    Returns:
        Label image with the origin, spacing and direction of ``reference``, bit for bit.

    Raises:
        ValueError: If the labels do not have the reference's shape in the network's frame.
    """
    order, flipped = _axes_to_network(_orientation(reference))
    size = reference.GetSize()
    expected = tuple(size[axis] for axis in order)[::-1]
    if tuple(labels.shape) != expected:
        raise ValueError(f"expected labels of shape {expected} in the network's frame, got {tuple(labels.shape)}")
    by_xyz = labels.transpose(2, 1, 0)[tuple(slice(None, None, -1 if flip else 1) for flip in flipped)]
    original = by_xyz.transpose([order.index(axis) for axis in range(3)])
    image = sitk.GetImageFromArray(np.ascontiguousarray(original.transpose(2, 1, 0)))
    image.CopyInformation(reference)
    return image


def _orientation(image: sitk.Image) -> str:
    return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(image.GetDirection())


def _axes_to_network(orientation: str) -> tuple[list[int], list[bool]]:
    """For each axis of the network's frame (x, y, z): the original's axis, and whether it is reversed."""
    order, flipped = [], []
    for letter in NETWORK_ORIENTATION:
        same = letter in orientation
        order.append(orientation.index(letter if same else letter.translate(_FLIP)))
        flipped.append(not same)
    return order, flipped


def _file_ending(path: Path) -> str:
    for ending in FILE_ENDINGS:
        if path.name.lower().endswith(ending):
            return ending
    raise InputError(
        f"{path}: expected a CT file ({', '.join(FILE_ENDINGS)}), got '{path.name}'; "
        "convert DICOM series first, for example with dcm2niix"
    )


def _case_name(path: Path) -> str:
    name = path.name[: -len(_file_ending(path))]
    return name.removesuffix("_0000") or name


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
        fail(f"a spacing of 0 to {MAX_SPACING_MM:g} mm", f"{shown} (x, y, z)", "correct the header, in mm")
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
