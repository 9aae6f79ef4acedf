"""The frame that networks see: that of nnU-Net's ``SimpleITKIOWithReorient``.

The image is reoriented to "RAS", arrays are (Z, Y, X). Results go back to the input's own orientation and carry its
geometry unchanged. No torch here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet.images.ct_check import check_ct
from soars_nnunet.images.plausible import check_plausible

NETWORK_ORIENTATION = "RAS"
"""SimpleITK orientation code that nnU-Net's ``SimpleITKIOWithReorient`` reads every image in."""

AIR_HU = -1024.0
"""Floor of the network's input; padding of -2000, -3024, ... is raised to it."""

_OPPOSITE = str.maketrans("RLAPSI", "LRPAIS")


@dataclass(frozen=True)
class Scan:
    """A CT that was checked and brought into the networks' frame.

    Attributes:
        name: Case name.
        image: As read, in its own orientation.
        ct_hu: (1, Z, Y, X) float32, see ``to_network_frame``.
        properties: Of that frame, with ``spacing`` (Z, Y, X) in mm.
        seconds: What checking and orienting took.
        doubts: What its header and ``check_plausible`` say of it.
    """

    name: str
    image: sitk.Image
    ct_hu: np.ndarray
    properties: dict[str, Any]
    seconds: float
    doubts: tuple[str, ...] = ()

    @classmethod
    def of(cls, image: sitk.Image, name: str, notes: tuple[str, ...] = ()) -> Scan:
        """Check an image and orient it.

        Args:
            image: As read.
            name: Case name.
            notes: What is doubtful of its file's header, in sentences.

        Raises:
            InputError: If it is not a usable CT, or cannot be one of a patient.
        """
        started = time.perf_counter()
        doubts = check_plausible(check_ct(image, name), name)
        ct_hu, properties = to_network_frame(image)
        return cls(name, image, ct_hu, properties, time.perf_counter() - started, (*notes, *doubts))


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
    x, y, z = order
    expected = (size[z], size[y], size[x])
    if tuple(labels.shape) != expected:
        raise ValueError(f"expected labels of shape {expected} in the network's frame, got {tuple(labels.shape)}")
    by_xyz = np.flip(labels.transpose(2, 1, 0), tuple(np.flatnonzero(flipped).tolist()))
    original = by_xyz.transpose(np.argsort(order))
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
        order.append(orientation.index(letter if same else letter.translate(_OPPOSITE)))
        flipped.append(not same)
    return order, flipped
