"""Solid primitives as signed distances on any grid: ellipsoids, rounded boxes and tubes.

Axes: points and coordinates are (Z, Y, X) in mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation


@dataclass(frozen=True)
class Shape:
    """Primitive with a signed distance (mm, negative inside) in the canonical frame.

    ``points`` (N, 3) is the centre (N = 1) or the polyline of a tube; ``radii`` the semi-axes
    (3,) or the radius at each point (N,). A tube is drawn in coordinates divided by ``stretch``,
    which flattens its cross-section; ``hollow`` keeps only that thickness of its wall.
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

    def distance(self, coords: Sequence[np.ndarray], size: float) -> np.ndarray:
        """Signed distance for canonical coordinates (3 arrays of one shape, mm), float32."""
        if self.kind == "tube":
            return self._tube(coords, size)
        local = [axis - np.float32(centre) for axis, centre in zip(coords, self.points[0], strict=True)]
        if any(self.rotate_deg):
            turn = Rotation.from_euler("zyx", self.rotate_deg, degrees=True)
            matrix = turn.as_matrix()[::-1, ::-1].astype(np.float32)
            local = [sum(matrix[row, axis] * local[row] for row in range(3)) for axis in range(3)]
        radii = (self.radii * size).astype(np.float32)
        if self.kind == "ellipsoid":
            scaled = [axis / radius for axis, radius in zip(local, radii, strict=True)]
            level = np.sqrt(sum(axis * axis for axis in scaled))
            slope = np.sqrt(sum((axis / radius) ** 2 for axis, radius in zip(scaled, radii, strict=True)))
            return level * (level - 1) / np.maximum(slope, np.float32(1e-6))
        beyond = [np.abs(axis) - (half - np.float32(self.round)) for axis, half in zip(local, radii, strict=True)]
        outside = np.sqrt(sum(np.maximum(axis, 0) ** 2 for axis in beyond))
        return outside + np.minimum(np.maximum.reduce(beyond), 0) - np.float32(self.round)

    def _tube(self, coords: Sequence[np.ndarray], size: float) -> np.ndarray:
        stretch = self.stretch.astype(np.float32)
        local = [axis if factor == 1 else axis / factor for axis, factor in zip(coords, stretch, strict=True)]
        points, radii = (self.points / self.stretch).astype(np.float32), (self.radii * size).astype(np.float32)
        nearest: np.ndarray | None = None
        for start, end, radius, radius_end in zip(points[:-1], points[1:], radii[:-1], radii[1:], strict=True):
            along = end - start
            offset = [axis - origin for axis, origin in zip(local, start, strict=True)]
            share = sum(axis * step for axis, step in zip(offset, along / (along @ along), strict=True))
            share = np.clip(share, 0, 1)
            gap = np.sqrt(sum((axis - share * step) ** 2 for axis, step in zip(offset, along, strict=True)))
            gap -= radius + share * (radius_end - radius)
            nearest = gap if nearest is None else np.minimum(nearest, gap)
        return np.maximum(nearest, -nearest - np.float32(self.hollow)) if self.hollow else nearest
