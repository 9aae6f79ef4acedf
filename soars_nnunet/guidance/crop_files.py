"""Files of SmallHard's crops: CT, heat maps and labels of a VOI, as an nnU-Net training case."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet.cascade.classes import branch_labels, ignore_class
from soars_nnunet.cascade.image_file import write_image
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.geometry.grid import Box
from soars_nnunet.geometry.voi import crop_box

INT16 = np.iinfo(np.int16)


@dataclass(frozen=True)
class CropWriter:
    """Writes crops into a raw nnU-Net dataset.

    Attributes:
        folder: Of the dataset.
        ending: Of its files.
        names: Cases written so far.
    """

    folder: Path
    ending: str
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for name in ("imagesTr", "labelsTr"):
            (self.folder / name).mkdir(exist_ok=True)

    def write(self, name: str, channels: np.ndarray, labels: np.ndarray, *, box: Box, geometry: dict[str, Any]) -> None:
        """Write a crop.

        Args:
            name: Its case name.
            channels: (C, box) CT in HU, which is rounded to int16, and heat maps.
            labels: (Z, Y, X) uint8 of SmallHard's classes on the whole image.
            box: Image voxels of the crop; where it reaches outside there are no labels.
            geometry: The whole image's ``origin``, ``spacing`` and ``direction`` (x, y, z).
        """
        ct = np.clip(np.rint(channels[0]), INT16.min, INT16.max).astype(np.int16)
        self._write_image(f"imagesTr/{name}_0000", ct, box, geometry)
        for index, heatmap in enumerate(channels[1:], 1):
            self._write_image(f"imagesTr/{name}_{index:04d}", heatmap, box, geometry)
        self._write_image(f"labelsTr/{name}", crop_box(labels, box, 0), box, geometry)
        self.names.append(name)

    def _write_image(self, name: str, array: np.ndarray, box: Box, geometry: dict[str, Any]) -> None:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(geometry["spacing"])
        image.SetDirection(geometry["direction"])
        image.SetOrigin(_origin_of(box, geometry))
        write_image(image, self.folder / f"{name}{self.ending}")


def _origin_of(box: Box, geometry: dict[str, Any]) -> list[float]:
    """Where the first voxel of a box lies, in mm (x, y, z)."""
    first = np.array([low for low, _ in box][::-1])
    direction = np.reshape(geometry["direction"], (3, 3))
    offset_mm = direction @ (first * np.asarray(geometry["spacing"]))
    return (np.asarray(geometry["origin"]) + offset_mm).tolist()


def small_hard_labels(cascade: Cascade, labels: np.ndarray) -> np.ndarray:
    """Labels of the source dataset (Z, Y, X) as SmallHard's classes, uint8; 0 for all else."""
    lookup = np.zeros(int(labels.max()) + 1, np.uint8)
    for value, (organ, _) in enumerate(branch_labels(cascade, "small_hard"), 1):
        label = cascade.labels[organ]
        if label < len(lookup):
            lookup[label] = value
    ignored = ignore_class(cascade, "small_hard")
    if cascade.ignore is not None and ignored is not None and cascade.ignore < len(lookup):
        lookup[cascade.ignore] = ignored
    return lookup[labels]
