"""Synthetic head-and-neck CTs in which every organ of a profile is drawn.

The anatomy is data (``plans/phantom.json``): ellipsoids, rounded boxes and tubes in a canonical
head frame. A seeded smooth map takes a patient's coordinates to that frame, so that all organs
move together; each organ also gets a small jitter of its own. Shapes are signed distances
evaluated at the voxel centres, hence the same patient can be drawn on any grid.

Axes: arrays and all triples are (Z, Y, X); Z grows to the head, Y to the back, X to the patient's
left. World coordinates are mm from the centre of the field of view.
"""

from __future__ import annotations

import json
import logging
import math
import numbers
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from soars_nnunet.phantom.patient_map import PatientMap, Slices
from soars_nnunet.phantom.shapes import Shape
from soars_nnunet.profile import Profile, load_profile

logger = logging.getLogger(__name__)

NOISE_HU = 12.0
"""Standard deviation of the noise, as in a clinical planning CT of the head and neck."""

NOISE_BLUR_VOX = 0.5
"""In-plane correlation of the noise, from the scanner's reconstruction kernel."""

SLAB_VOXELS = 2_000_000
"""Voxels drawn at a time; bounds the float32 work arrays to about 100 MB."""

JITTER_MM = 0.8
"""Largest shift of one organ per axis: below the voxel size, so that anchors stay informative."""

JITTER_SIZE = 0.08
"""Largest relative change of one organ's radii."""

SEED_STRIDE = 100_000
"""Patients' seeds set aside for each dataset seed: more than anyone writes."""


@dataclass(frozen=True)
class Phantom:
    """One synthetic patient.

    Attributes:
        ct_hu: (Z, Y, X) int16, Hounsfield units.
        labels: (Z, Y, X) uint8, labels of the profile; 0 is background.
        spacing_mm: Voxel size (Z, Y, X).
        origin_mm: Centre of voxel 0 in the patient's coordinates (Z, Y, X), LPS.
    """

    ct_hu: np.ndarray
    labels: np.ndarray
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]

    def ct_image(self) -> sitk.Image:
        """CT as an image with identity direction (LPS), int16."""
        return self._image(self.ct_hu)

    def label_image(self) -> sitk.Image:
        """Label volume as an image with identity direction (LPS), uint8."""
        return self._image(self.labels)

    def _image(self, array: np.ndarray) -> sitk.Image:
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(self.spacing_mm[::-1])
        image.SetOrigin(self.origin_mm[::-1])
        return image


def make_phantom(
    seed: int,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    profile: Profile | None = None,
) -> Phantom:
    """Draw one patient.

    The grid is centred on the head and neck: 96 x 80 x 80 voxels of 3 mm hold all organs; larger
    fields add air, shoulders and chest, smaller ones crop. The CT does not depend on the profile,
    and the anatomy does not depend on the grid. Where organs overlap, the one of higher
    ``precedence`` wins, and the smaller one among equals.

    Args:
        seed: Patient; 0 or more. The same seed and grid give identical arrays.
        shape: Voxels (Z, Y, X).
        spacing_mm: Voxel size (Z, Y, X), mm.
        profile: Organs to label; the 42 organs of ``hn42`` by default.

    Returns:
        The patient; an organ outside the field of view has no voxels.

    Raises:
        ValueError: On a bad seed, shape or spacing, or an organ that the anatomy does not hold.
    """
    shape, spacing_mm = _validate_grid(shape, spacing_mm)
    _validate_count("seed", seed, minimum=0)
    paint_order = _paint_order(profile or load_profile("hn42"))
    mapping = PatientMap(seed, shape, spacing_mm, _table()["field_of_view_centre_mm"])
    placed = [item for item in (_place(part, mapping, seed, spacing_mm) for part in _anatomy()) if item is not None]
    ct_hu, labels = np.empty(shape, np.int16), np.zeros(shape, np.uint8)
    depth = max(1, SLAB_VOXELS // (shape[1] * shape[2]))
    for start in range(0, shape[0], depth):
        rows = slice(start, min(start + depth, shape[0]))
        ct_slab, masks = _draw_slab(placed, mapping, rows, float(np.mean(spacing_mm)))
        ct_hu[rows] = _add_noise(ct_slab, seed, start)
        for name, label in paint_order:
            for box, mask in masks.get(name, ()):
                labels[rows][box][mask] = label
    origin_mm = tuple(-0.5 * (size - 1) * step for size, step in zip(shape, spacing_mm, strict=True))
    return Phantom(ct_hu, labels, spacing_mm, origin_mm)


def _validate_grid(shape: object, spacing_mm: object) -> tuple[tuple[int, int, int], tuple[float, float, float]]:
    if not (_is_triple(shape, numbers.Integral) and all(size > 0 for size in shape)):
        raise ValueError(f"shape: expected 3 positive integers (Z, Y, X), got {shape!r}")
    if not (_is_triple(spacing_mm, numbers.Real) and all(step > 0 and math.isfinite(step) for step in spacing_mm)):
        raise ValueError(f"spacing_mm: expected 3 positive numbers (Z, Y, X), got {spacing_mm!r}")
    return tuple(int(size) for size in shape), tuple(float(step) for step in spacing_mm)


def _is_triple(value: object, kind: type) -> bool:
    sized = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    return sized and len(value) == 3 and all(isinstance(v, kind) and not isinstance(v, bool) for v in value)


def _validate_count(name: str, value: object, minimum: int) -> None:
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < minimum:
        raise ValueError(f"{name}: expected an integer of at least {minimum}, got {value!r}")


def _case_files(folder: Path, index: int, test: bool) -> tuple[Path, Path]:
    suffix, case = "Ts" if test else "Tr", f"phantom_{index:03d}"
    return folder / f"images{suffix}" / f"{case}_0000.nii.gz", folder / f"labels{suffix}" / f"{case}.nii.gz"


def _refuse_foreign_cases(folder: Path, expected: set[Path]) -> None:
    subfolders = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")
    present = [path for subfolder in subfolders for path in (folder / subfolder).glob("*")]
    foreign = sorted(path.name for path in present if path not in expected)
    if foreign:
        raise ValueError(
            f"dataset_folder: expected an empty folder or the same cases in {folder}, got {len(foreign)} other "
            f"files, e.g. {foreign[0]}; choose another folder or remove them"
        )


def _write_image(image: sitk.Image, folder: Path, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = folder / f".partial_{path.name}"
    try:
        sitk.WriteImage(image, str(partial), useCompression=True)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Part:
    """A tissue or an organ: the union of its shapes, painted in layers (grow mm, HU, texture HU)."""

    name: str
    shapes: tuple[Shape, ...]
    layers: tuple[tuple[float, float, float], ...]
    clip: np.ndarray
    blend: float
    organ: bool


@dataclass(frozen=True)
class _Placed:
    """A part of one patient: its jitter and the voxels that it, and each of its shapes, may touch."""

    part: _Part
    shift: np.ndarray
    size: float
    boxes: tuple[Slices | None, ...]
    box: Slices


@cache
def _table() -> dict[str, Any]:
    return json.loads((resources.files("soars_nnunet.plans") / "phantom.json").read_text(encoding="utf-8"))


@cache
def _anatomy() -> tuple[_Part, ...]:
    return tuple(_parts(_table()))


def _parts(table: dict[str, Any]) -> Iterator[_Part]:
    for section in ("tissues", "structures", "details"):
        for row in table[section]:
            name = row["name"]
            sides = [(name, 1)]
            if name.endswith("_L"):
                sides.append((f"{name[:-2]}_R", -1))
            elif row.get("mirror"):
                sides.append((name, -1))
            for part_name, side in sides:
                yield _Part(
                    name=part_name,
                    shapes=tuple(Shape.from_dict(shape, side) for shape in row["shapes"]),
                    layers=tuple((*layer, 0.0)[:3] for layer in row["layers"]),
                    clip=np.array(row.get("clip", ()), np.float32).reshape(-1, 4) * np.float32((1, 1, side, 1)),
                    blend=row.get("blend", 0.0),
                    organ=section == "structures",
                )


def _paint_order(profile: Profile) -> list[tuple[str, int]]:
    """Parts and labels, later ones over earlier ones; ``Bone_Mandible`` is both of its halves."""
    parts = {part.name: sum(shape.volume() for shape in part.shapes) for part in _anatomy() if part.organ}
    order = []
    for organ in profile.organs:
        names = [name for name in (organ.name, f"{organ.name}_L", f"{organ.name}_R") if name in parts]
        if not names:
            raise ValueError(f"profile: expected organs among {', '.join(sorted(parts))}, got {organ.name}")
        order += [(organ.precedence, -parts[name], name, organ.label) for name in names]
    return [(name, label) for _, _, name, label in sorted(order)]


def _place(part: _Part, mapping: PatientMap, seed: int, spacing_mm: Sequence[float]) -> _Placed | None:
    """Draw an organ's jitter and find its voxels; None where the part is out of the field."""
    shift, size = np.zeros(3), 1.0
    if part.organ:
        rng = np.random.default_rng([seed, zlib.crc32(part.name.encode())])
        shift, size = rng.uniform(-JITTER_MM, JITTER_MM, 3), 1 + rng.uniform(-JITTER_SIZE, JITTER_SIZE)
    reach = max(0.0, *(grow for grow, _, _ in part.layers)) + part.blend + max(spacing_mm)
    bounds = [shape.bounds(size) for shape in part.shapes]
    boxes = [mapping.box(low + shift - reach, high + shift + reach) for low, high in bounds]
    seen = [box for box in boxes if box is not None]
    if not seen:
        return None
    union = tuple(slice(min(b[axis].start for b in seen), max(b[axis].stop for b in seen)) for axis in range(3))
    return _Placed(part, shift.astype(np.float32), size, tuple(boxes), union)


def _draw_slab(
    placed: Sequence[_Placed], mapping: PatientMap, rows: slice, voxel_mm: float
) -> tuple[np.ndarray, dict[str, list[tuple[Slices, np.ndarray]]]]:
    """CT without noise (float32) of some axial rows, and each organ's masks in boxes of the slab."""
    coords = mapping.coords((rows, slice(None), slice(None)))
    texture = _texture(coords)
    ct_hu = np.full(coords[0].shape, -1000, np.float32)
    masks: dict[str, list[tuple[Slices, np.ndarray]]] = {}
    for item in placed:
        box = _in_slab(item.box, rows)
        if box is None:
            continue
        distance, clip = _distances(item, coords, box, rows)
        for grow, hu, texture_hu in item.part.layers:
            edge = np.maximum(distance - np.float32(grow), clip) if clip is not None else distance - np.float32(grow)
            share = np.clip(0.5 - edge / np.float32(voxel_mm), 0, 1)
            value = hu + np.float32(texture_hu) * texture[box] if texture_hu else np.float32(hu)
            ct_hu[box] += share * (value - ct_hu[box])
        if item.part.organ:
            inside = distance <= 0 if clip is None else np.maximum(distance, clip) <= 0
            masks.setdefault(item.part.name, []).append((box, inside))
    return ct_hu, masks


def _distances(
    item: _Placed, coords: Sequence[np.ndarray], box: Slices, rows: slice
) -> tuple[np.ndarray, np.ndarray | None]:
    """Signed distance (mm) to the part in ``box`` of the slab, and to its clipping planes if any."""
    local = [axis[box] - shift for axis, shift in zip(coords, item.shift, strict=True)]
    distance = np.full(local[0].shape, 1e3, np.float32)
    for shape, shape_box in zip(item.part.shapes, item.boxes, strict=True):
        if item.part.blend:
            distance = _smooth_minimum(distance, shape.distance(local, item.size), np.float32(item.part.blend))
            continue
        inner = None if shape_box is None else _in_slab(shape_box, rows)
        if inner is not None:
            view = tuple(slice(i.start - b.start, i.stop - b.start) for i, b in zip(inner, box, strict=True))
            found = shape.distance([axis[view] for axis in local], item.size)
            np.minimum(distance[view], found, out=distance[view])
    planes = [sum(n * axis for n, axis in zip(plane[:3], local, strict=True)) - plane[3] for plane in item.part.clip]
    return distance, np.maximum.reduce(planes) if planes else None


def _in_slab(box: Slices, rows: slice) -> Slices | None:
    start, stop = max(box[0].start, rows.start), min(box[0].stop, rows.stop)
    return (slice(start - rows.start, stop - rows.start), box[1], box[2]) if start < stop else None


def _smooth_minimum(first: np.ndarray, second: np.ndarray, blend_mm: np.float32) -> np.ndarray:
    """Union of two solids with a fillet where they are within ``blend_mm`` (polynomial minimum)."""
    overlap = np.maximum(blend_mm - np.abs(first - second), 0)
    return np.minimum(first, second) - overlap * overlap / (4 * blend_mm)


def _texture(coords: Sequence[np.ndarray]) -> np.ndarray:
    """Smooth pattern in [-1, 1], mostly positive: muscle with fat between, grey and white matter."""
    z, y, x = coords
    waves = np.sin(0.23 * x + 0.11 * z) + np.sin(0.21 * y - 0.13 * x + 1) + np.sin(0.17 * z + 0.12 * y + 2)
    return np.tanh(2 * waves + 2)


def _add_noise(ct_hu: np.ndarray, seed: int, first_row: int) -> np.ndarray:
    """CT (Z, Y, X) with noise of ``NOISE_HU``, int16; rows are seeded one by one."""
    noise = np.stack(
        [
            np.random.default_rng([seed, 1, first_row + row]).standard_normal(ct_hu.shape[1:], np.float32)
            for row in range(len(ct_hu))
        ]
    )
    kernel = np.exp(-0.5 * (np.arange(-2, 3) / NOISE_BLUR_VOX) ** 2)
    kernel /= kernel.sum()
    blurred = gaussian_filter(noise, (0, NOISE_BLUR_VOX, NOISE_BLUR_VOX), truncate=4)
    noisy = ct_hu + np.float32(NOISE_HU / (kernel @ kernel)) * blurred
    return np.clip(np.rint(noisy), -1024, 3071).astype(np.int16)
