"""Solid primitives as signed distances on any grid: ellipsoids, rounded boxes and tubes.

Axes: points and coordinates are (Z, Y, X) in mm.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

Coords = tuple[np.ndarray, np.ndarray, np.ndarray]
"""z, y, x of many points in mm: three arrays of one shape."""


@dataclass(frozen=True)
class Shape:
    """Primitive with a signed distance (mm, negative inside) in the canonical frame.

    Attributes:
        kind: ``ellipsoid``, ``box`` or ``tube``.
        points: (N, 3) in mm, the centre (N = 1) or the polyline of a tube.
        radii: In mm, the semi-axes (3,), or a tube's radius at each point (N,).
        stretch: (3,), a tube is drawn in coordinates divided by it, which flattens its cross-section.
        rotate_deg: Turn of an ellipsoid or a box about Z, Y and X.
        round: Radius of a box's edges, mm.
        hollow: Thickness of a tube's wall, mm; 0 is solid.
    """

    kind: str
    points: np.ndarray
    radii: np.ndarray
    stretch: np.ndarray
    rotate_deg: tuple[float, float, float]
    round: float
    hollow: float

    @classmethod
    def from_dict(cls, row: dict[str, Any], side: int = 1) -> Shape:
        """Read a row of the table; ``side`` -1 mirrors it to the right."""
        about_z, about_y, about_x = row.get("rotate_deg", (0, 0, 0))
        return cls(
            kind=row["kind"],
            points=np.array(row["points"], np.float64) * (1, 1, side),
            radii=np.array(row["radii"], np.float64),
            stretch=np.array(row.get("stretch", (1, 1, 1)), np.float64),
            rotate_deg=(side * about_z, side * about_y, about_x),
            round=row.get("round", 0.0),
            hollow=row.get("hollow", 0.0),
        )

    def bounds(self, size: float) -> tuple[np.ndarray, np.ndarray]:
        """Corners (3,), (3,) in mm of a box around the shape with its radii times ``size``."""
        if self.kind == "tube":
            reach = size * self.radii[:, None] * self.stretch
        elif any(self.rotate_deg):
            longest = np.linalg.norm(self.radii) if self.kind == "box" else self.radii.max()
            reach = np.full((1, 3), size * longest)
        else:
            reach = size * self.radii[None]
        return (self.points - reach).min(0), (self.points + reach).max(0)

    def volume(self) -> float:
        """Nominal volume in mm^3: overlaps and clipping are ignored."""
        if self.kind == "ellipsoid":
            return float(4 / 3 * np.pi * self.radii.prod())
        if self.kind == "box":
            return float(8 * self.radii.prod())
        length = np.linalg.norm(np.diff(self.points, axis=0), axis=1).sum()
        area = np.pi * (self.radii**2 - np.maximum(self.radii - (self.hollow or np.inf), 0) ** 2).mean()
        return float(length * area * self.stretch.prod())

    def distance(self, coords: Coords, size: float) -> np.ndarray:
        """Signed distance in mm, float32.

        Args:
            coords: Canonical z, y, x of the points, mm, three float32 arrays of one shape.
            size: Factor of the radii.
        """
        if self.kind == "tube":
            return self._tube_distance(coords, size)
        local = shifted(coords, self.points[0])
        if any(self.rotate_deg):
            local = self._turned(local)
        radii = (self.radii * size).astype(np.float32)
        if self.kind == "ellipsoid":
            return _ellipsoid_distance(local, radii)
        return _box_distance(local, radii, np.float32(self.round))

    def _turned(self, local: Coords) -> Coords:
        """Coordinates along the shape's own axes."""
        turn = Rotation.from_euler("zyx", self.rotate_deg, degrees=True)
        matrix = turn.as_matrix()[::-1, ::-1].astype(np.float32)
        return _dot(local, matrix[:, 0]), _dot(local, matrix[:, 1]), _dot(local, matrix[:, 2])

    def _tube_distance(self, coords: Coords, size: float) -> np.ndarray:
        """Distance to the nearest segment of the polyline; the radius changes evenly along a segment."""
        local = _divided(coords, self.stretch.astype(np.float32))
        points = (self.points / self.stretch).astype(np.float32)
        radii = (self.radii * size).astype(np.float32)
        nearest = _segment_distance(local, points[:2], radii[:2])
        for first in range(1, len(points) - 1):
            segment = slice(first, first + 2)
            nearest = np.minimum(nearest, _segment_distance(local, points[segment], radii[segment]))
        if not self.hollow:
            return nearest
        return np.maximum(nearest, -nearest - np.float32(self.hollow))


def shifted(coords: Coords, origin: np.ndarray) -> Coords:
    """Coordinates from an origin (3,), in float32."""
    z, y, x = coords
    origin_z, origin_y, origin_x = np.asarray(origin, np.float32)
    return z - origin_z, y - origin_y, x - origin_x


def _divided(coords: Coords, factors: np.ndarray) -> Coords:
    """Coordinates over factors (3,); where a factor is 1 the array itself."""
    z, y, x = (axis if factor == 1 else axis / factor for axis, factor in zip(coords, factors, strict=True))
    return z, y, x


def _dot(coords: Coords, weights: np.ndarray) -> np.ndarray:
    """Sum of the coordinates times weights (3,)."""
    total = coords[0] * weights[0]
    total += coords[1] * weights[1]
    total += coords[2] * weights[2]
    return total


def _length(coords: Iterable[np.ndarray]) -> np.ndarray:
    """Length of the vectors whose z, y and x are given; one after the other, so that few arrays live at a time."""
    axes = iter(coords)
    first = next(axes)
    squared = first * first
    for axis in axes:
        squared += axis * axis
    return np.sqrt(squared, out=squared)


def _ellipsoid_distance(local: Coords, radii: np.ndarray) -> np.ndarray:
    """Level over slope of ``|x / radii| = 1``: exact on the surface and to first order near it."""
    scaled = _divided(local, radii)
    level = _length(scaled)
    slope = _length(axis / radius for axis, radius in zip(scaled, radii, strict=True))
    return level * (level - 1) / np.maximum(slope, np.float32(1e-6))


def _box_distance(local: Coords, half_widths: np.ndarray, rounding: np.float32) -> np.ndarray:
    """Distance to a box whose edges are rounded with that radius."""
    z, y, x = local
    half_z, half_y, half_x = half_widths
    beyond_z = np.abs(z) - (half_z - rounding)
    beyond_y = np.abs(y) - (half_y - rounding)
    beyond_x = np.abs(x) - (half_x - rounding)
    outside = _length(np.maximum(beyond, 0) for beyond in (beyond_z, beyond_y, beyond_x))
    deepest = np.maximum(beyond_z, beyond_y)
    np.maximum(deepest, beyond_x, out=deepest)
    return outside + np.minimum(deepest, 0) - rounding


def _segment_distance(local: Coords, ends: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Distance to a segment of a tube, from its two ends (2, 3) and the radii there."""
    start, end = ends
    along = end - start
    offset = shifted(local, start)
    share = np.clip(_dot(offset, along / (along @ along)), 0, 1)
    gap = _length(axis - share * step for axis, step in zip(offset, along, strict=True))
    gap -= radii[0] + share * (radii[1] - radii[0])
    return gap
