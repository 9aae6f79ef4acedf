"""Drawing of an anatomy's parts, a slab of axial rows at a time: HU, masks of the organs, noise.

Axes: arrays and all triples are (Z, Y, X); coordinates are mm in the canonical head frame.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from soars_nnunet.phantom.anatomy import Part
from soars_nnunet.phantom.patient_map import PatientMap, Slices
from soars_nnunet.phantom.shapes import Coords, shifted

AIR_HU = -1000
"""What nothing is drawn on."""

NOISE_HU = 12.0
"""Standard deviation of the noise, as in a clinical planning CT of the head and neck."""

NOISE_BLUR_VOX = 0.5
"""In-plane correlation of the noise, from the scanner's reconstruction kernel."""

JITTER_MM = 0.8
"""Largest shift of one organ per axis: below the voxel size, so that anchors stay informative."""

JITTER_SIZE = 0.08
"""Largest relative change of one organ's radii."""

FAR_MM = 1e3
"""Distance where no shape was looked at."""


@dataclass(frozen=True)
class PlacedPart:
    """A part of one patient.

    Attributes:
        part: What is drawn.
        shift_mm: (3,) float32, its jitter.
        size: Factor of its radii.
        boxes: Voxels that each of its shapes may touch; None out of the field of view.
        box: Voxels that any of them may touch.
    """

    part: Part
    shift_mm: np.ndarray
    size: float
    boxes: tuple[Slices | None, ...]
    box: Slices


@dataclass(frozen=True)
class OrganMask:
    """An organ in a slab: ``mask`` (z, y, x) bool lies in ``box`` of the slab."""

    name: str
    box: Slices
    mask: np.ndarray


def place(part: Part, mapping: PatientMap, seed: int) -> PlacedPart | None:
    """Draw an organ's jitter and find its voxels; None where the part is out of the field of view.

    Args:
        part: Of ``anatomy``.
        mapping: The patient's.
        seed: Patient; an organ's jitter depends on it and on the organ's name alone.
    """
    shift_mm, size = np.zeros(3), 1.0
    if part.organ:
        rng = np.random.default_rng([seed, zlib.crc32(part.name.encode())])
        shift_mm = rng.uniform(-JITTER_MM, JITTER_MM, 3)
        size = 1 + rng.uniform(-JITTER_SIZE, JITTER_SIZE)
    grown_mm = max(layer.grow_mm for layer in part.layers)
    reach_mm = max(0.0, grown_mm) + part.blend_mm + max(mapping.spacing_mm)
    boxes = []
    for shape in part.shapes:
        low, high = shape.bounds(size)
        boxes.append(mapping.box(low + shift_mm - reach_mm, high + shift_mm + reach_mm))
    union = _union(boxes)
    if union is None:
        return None
    return PlacedPart(part, shift_mm.astype(np.float32), size, tuple(boxes), union)


def draw_slab(
    placed: Sequence[PlacedPart], mapping: PatientMap, rows: slice, voxel_mm: float
) -> tuple[np.ndarray, list[OrganMask]]:
    """Draw some axial rows.

    Args:
        placed: Parts in drawing order.
        mapping: The patient's.
        rows: Of the whole grid.
        voxel_mm: Width over which surfaces are smoothed: a voxel's mean size.

    Returns:
        (z, y, x) float32, HU without noise; and the masks of the organs that the slab may touch.
    """
    coords = mapping.coords((rows, slice(None), slice(None)))
    texture = _texture(coords)
    ct_hu = np.full(coords[0].shape, AIR_HU, np.float32)
    masks = []
    for item in placed:
        box = _in_slab(item.box, rows)
        if box is None:
            continue
        distance_mm, clip_mm = _distances(item, coords, box, rows)
        for layer in item.part.layers:
            edge_mm = distance_mm - np.float32(layer.grow_mm)
            if clip_mm is not None:
                edge_mm = np.maximum(edge_mm, clip_mm)
            share = np.clip(0.5 - edge_mm / np.float32(voxel_mm), 0, 1)
            value_hu: np.ndarray | np.float32 = np.float32(layer.hu)
            if layer.texture_hu:
                value_hu = layer.hu + np.float32(layer.texture_hu) * texture[box]
            ct_hu[box] += share * (value_hu - ct_hu[box])
        if item.part.organ:
            clipped_mm = distance_mm if clip_mm is None else np.maximum(distance_mm, clip_mm)
            masks.append(OrganMask(item.part.name, box, clipped_mm <= 0))
    return ct_hu, masks


def add_noise(ct_hu: np.ndarray, seed: int, first_row: int) -> np.ndarray:
    """CT (Z, Y, X) with noise of ``NOISE_HU``, int16.

    Args:
        ct_hu: (Z, Y, X) of some axial rows.
        seed: Patient.
        first_row: Place of the first of them; rows are seeded one by one, so that slabs change nothing.
    """
    noise = np.empty(ct_hu.shape, np.float32)
    for row in range(len(ct_hu)):
        rng = np.random.default_rng([seed, 1, first_row + row])
        noise[row] = rng.standard_normal(ct_hu.shape[1:], np.float32)
    kernel = np.exp(-0.5 * (np.arange(-2, 3) / NOISE_BLUR_VOX) ** 2)
    kernel /= kernel.sum()
    blurred = gaussian_filter(noise, (0, NOISE_BLUR_VOX, NOISE_BLUR_VOX), truncate=4)
    noisy = ct_hu + np.float32(NOISE_HU / (kernel @ kernel)) * blurred
    return np.clip(np.rint(noisy), -1024, 3071).astype(np.int16)


def _distances(item: PlacedPart, coords: Coords, box: Slices, rows: slice) -> tuple[np.ndarray, np.ndarray | None]:
    """Signed distance (mm) to the part in ``box`` of the slab, and to its clipping planes if any."""
    z, y, x = coords
    local = shifted((z[box], y[box], x[box]), item.shift_mm)
    distance_mm = np.full(local[0].shape, FAR_MM, np.float32)
    for shape, shape_box in zip(item.part.shapes, item.boxes, strict=True):
        if item.part.blend_mm:
            found = shape.distance(local, item.size)
            distance_mm = _smooth_minimum(distance_mm, found, np.float32(item.part.blend_mm))
            continue
        inner = None if shape_box is None else _in_slab(shape_box, rows)
        if inner is None:
            continue
        view = _relative(inner, box)
        found = shape.distance((local[0][view], local[1][view], local[2][view]), item.size)
        np.minimum(distance_mm[view], found, out=distance_mm[view])
    return distance_mm, _beyond_planes(item.part.clip, local)


def _beyond_planes(planes: np.ndarray, local: Coords) -> np.ndarray | None:
    """Signed distance (mm) to the half-spaces that planes (P, 4) leave over; None without a plane."""
    z, y, x = local
    farthest_mm: np.ndarray | None = None
    for normal_z, normal_y, normal_x, offset_mm in planes:
        beyond_mm = normal_z * z + normal_y * y + normal_x * x - offset_mm
        farthest_mm = beyond_mm if farthest_mm is None else np.maximum(farthest_mm, beyond_mm)
    return farthest_mm


def _union(boxes: Sequence[Slices | None]) -> Slices | None:
    """Smallest box around boxes; None without one."""
    seen = [box for box in boxes if box is not None]
    if not seen:
        return None
    axes = []
    for parts in zip(*seen, strict=True):
        start = min(part.start for part in parts)
        stop = max(part.stop for part in parts)
        axes.append(slice(start, stop))
    z, y, x = axes
    return z, y, x


def _in_slab(box: Slices, rows: slice) -> Slices | None:
    """Part of a box of the grid that lies in a slab, in the slab's voxels; None without one."""
    start = max(box[0].start, rows.start)
    stop = min(box[0].stop, rows.stop)
    if start >= stop:
        return None
    return slice(start - rows.start, stop - rows.start), box[1], box[2]


def _relative(inner: Slices, outer: Slices) -> Slices:
    """A box in the voxels of another one that holds it."""
    axes = []
    for part, whole in zip(inner, outer, strict=True):
        axes.append(slice(part.start - whole.start, part.stop - whole.start))
    z, y, x = axes
    return z, y, x


def _smooth_minimum(first: np.ndarray, second: np.ndarray, blend_mm: np.float32) -> np.ndarray:
    """Union of two solids with a fillet where they are within ``blend_mm`` (polynomial minimum)."""
    overlap = np.maximum(blend_mm - np.abs(first - second), 0)
    return np.minimum(first, second) - overlap * overlap / (4 * blend_mm)


def _texture(coords: Coords) -> np.ndarray:
    """Smooth pattern in [-1, 1], mostly positive: muscle with fat between, grey and white matter."""
    z, y, x = coords
    waves = np.sin(0.23 * x + 0.11 * z) + np.sin(0.21 * y - 0.13 * x + 1) + np.sin(0.17 * z + 0.12 * y + 2)
    return np.tanh(2 * waves + 2)
