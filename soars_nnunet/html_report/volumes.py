"""Small copies of a CT and its labels for the viewer in the page, as base64 NIfTI."""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass

import nibabel
import numpy as np
import SimpleITK as sitk

VOXELS = 3_000_000
"""Most voxels of an embedded volume: 144 mm cubed at 1 mm, 290 mm cubed at 2 mm; about 3 MB in the page."""

MARGIN_MM = 30.0
"""Kept around the organs."""

LOW_HU, STEP_HU = -1024, 10
"""The embedded CT has 8 bits: steps of 10 HU from -1024 to 1526."""


@dataclass(frozen=True)
class Embedded:
    """What the page carries.

    Attributes:
        ct: Base64 of a gzipped NIfTI, uint8 with slope and intercept to HU.
        labels: The same of the labels on the same grid.
        spacing_mm: Voxel size (x, y, z) of both.
        size: Voxels (x, y, z).
        cropped: Whether parts of the CT were left out.
    """

    ct: str
    labels: str
    spacing_mm: tuple[float, ...]
    size: tuple[int, ...]
    cropped: bool


def embed(ct: sitk.Image, labels: sitk.Image, max_voxels: int = VOXELS) -> Embedded:
    """Crop to the organs with a margin, reduce to ``max_voxels``, and encode.

    Args:
        ct: In HU.
        labels: On the same grid; without any label nothing is cropped.
        max_voxels: Bound on the voxels of each volume, which a rounded size may exceed by some per cent.
    """
    start, size = _box(labels)
    cropped = size != list(ct.GetSize())
    ct = sitk.RegionOfInterest(ct, size, start)
    labels = sitk.RegionOfInterest(labels, size, start)
    spacing_mm = _reduced_spacing(ct.GetSize(), ct.GetSpacing(), max_voxels)
    if spacing_mm != ct.GetSpacing():
        ct = _resample(sitk.Cast(ct, sitk.sitkFloat32), spacing_mm, sitk.sitkLinear)
        labels = _resample(labels, spacing_mm, sitk.sitkNearestNeighbor)
    steps = np.round((sitk.GetArrayFromImage(ct) - float(LOW_HU)) / STEP_HU)
    stored = np.clip(steps, 0, 255).astype(np.uint8)
    values = sitk.GetArrayFromImage(labels)
    values = values.astype(np.uint8 if values.max() < 256 else np.int16)
    return Embedded(
        ct=_nifti(stored, ct, STEP_HU, LOW_HU),
        labels=_nifti(values, ct),
        spacing_mm=ct.GetSpacing(),
        size=ct.GetSize(),
        cropped=cropped,
    )


def centers_mm(labels: sitk.Image) -> dict[int, list[float]]:
    """Centre of mass of each label in NIfTI's world (RAS: right to left, back to front, feet to head), mm."""
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(labels)
    centers = {}
    for label in shapes.GetLabels():
        x, y, z = shapes.GetCentroid(label)
        centers[int(label)] = [round(-x, 1), round(-y, 1), round(z, 1)]
    return centers


def _box(labels: sitk.Image) -> tuple[list[int], list[int]]:
    """Start and size (x, y, z) of the box of all labels with ``MARGIN_MM``, inside the image."""
    shapes = sitk.LabelShapeStatisticsImageFilter()
    shapes.Execute(sitk.Cast(labels > 0, sitk.sitkUInt8))
    if not shapes.HasLabel(1):
        return [0, 0, 0], list(labels.GetSize())
    box = shapes.GetBoundingBox(1)
    start, size = [], []
    for axis in range(3):
        margin = int(np.ceil(MARGIN_MM / labels.GetSpacing()[axis]))
        first = max(0, box[axis] - margin)
        stop = min(labels.GetSize()[axis], box[axis] + box[axis + 3] + margin)
        start.append(first)
        size.append(stop - first)
    return start, size


def _reduced_spacing(size: tuple[int, ...], spacing_mm: tuple[float, ...], max_voxels: int) -> tuple[float, ...]:
    """Raise the finest spacings to a common one until no more than ``max_voxels`` are left."""
    extent = np.multiply(size, spacing_mm)
    step = min(spacing_mm)
    while np.prod(extent / np.maximum(spacing_mm, step)) > max_voxels:
        step *= 1.02
    return tuple(float(mm) for mm in np.maximum(spacing_mm, step))


def _resample(image: sitk.Image, spacing_mm: tuple[float, ...], interpolator: int) -> sitk.Image:
    new_size, shift = [], []
    for voxels, old_mm, new_mm in zip(image.GetSize(), image.GetSpacing(), spacing_mm, strict=True):
        new_size.append(max(1, round(voxels * old_mm / new_mm)))
        shift.append((new_mm / old_mm - 1) / 2)  # the outer corner stays
    origin = image.TransformContinuousIndexToPhysicalPoint(shift)
    default = float(LOW_HU) if interpolator == sitk.sitkLinear else 0.0
    return sitk.Resample(
        image,
        new_size,
        sitk.Transform(),
        interpolator,
        origin,
        spacing_mm,
        image.GetDirection(),
        default,
        image.GetPixelID(),
    )


def _nifti(array: np.ndarray, image: sitk.Image, slope: float = 1, intercept: float = 0) -> str:
    """Gzipped NIfTI of an array (Z, Y, X) with an image's geometry, in base64."""
    direction = np.reshape(image.GetDirection(), (3, 3))
    affine = np.eye(4)
    affine[:3, :3] = direction * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    affine[:2] *= -1  # ITK's world is LPS, NIfTI's RAS
    nifti = nibabel.Nifti1Image(array.transpose(2, 1, 0), affine)
    nifti.header.set_slope_inter(slope, intercept)
    return base64.b64encode(gzip.compress(nifti.to_bytes(), 9, mtime=0)).decode()
