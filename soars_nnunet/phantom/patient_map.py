"""The smooth, seeded map that turns the canonical anatomy into one patient's.

Axes: all triples are (Z, Y, X); world coordinates are mm from the centre of the grid.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from soars_nnunet.phantom.shapes import Coords

SEARCH_STEP_MM = 8.0
"""Step of the coarse grid on which the shapes' bounding boxes are looked up."""
SINE_MODES = 5
"""Terms of the smooth deformation: up to 1.6 mm each, a few mm together, over 18 to 36 cm."""

Slices = tuple[slice, slice, slice]


class PatientMap:
    """Smooth map from voxels to the canonical frame: affine, left/right asymmetry, sine modes.

    Every term is a product of functions of one axis each, so that a grid of coordinates is one
    matrix product per component. The map depends on the seed and on mm alone, never on the grid.

    Args:
        seed: Patient; 0 or more.
        shape: Voxels (Z, Y, X).
        spacing_mm: Voxel size (Z, Y, X), mm.
        centre_mm: Canonical point (Z, Y, X) at the centre of the grid, mm; a few mm off per patient.
    """

    def __init__(
        self,
        seed: int,
        shape: tuple[int, int, int],
        spacing_mm: tuple[float, float, float],
        centre_mm: Sequence[float],
    ) -> None:
        rng = np.random.default_rng([seed, 0])
        scale = rng.uniform(0.94, 1.06) * rng.uniform(0.96, 1.04, 3)
        angles_deg = rng.uniform(-1, 1, 3) * (4, 3, 6)  # about Z, Y, X: a nod is the widest
        affine = Rotation.from_euler("zyx", angles_deg, degrees=True).as_matrix()[::-1, ::-1] / scale
        shift = np.array(centre_mm, np.float64) + rng.uniform(-3, 3, 3)
        asymmetry = (0, 0, rng.uniform(-0.03, 0.03))
        wavelength_mm = rng.uniform(180, 360, (3, SINE_MODES))
        phase = rng.uniform(0, 2 * np.pi, (3, SINE_MODES))
        amplitude_mm = rng.uniform(-1.6, 1.6, (3, SINE_MODES))
        self.shape, self.spacing_mm = shape, spacing_mm
        self._weights = np.column_stack([affine, shift, asymmetry, amplitude_mm]).astype(np.float32)
        self._factors = []
        for axis in range(3):
            world = (np.arange(shape[axis]) - 0.5 * (shape[axis] - 1)) * spacing_mm[axis]
            sines = np.sin(2 * np.pi * world / wavelength_mm[axis, :, None] + phase[axis, :, None])
            self._factors.append(_factors(world, axis, sines))
        self._steps = [max(1, int(SEARCH_STEP_MM / spacing)) for spacing in spacing_mm]
        self._picks = [_every(step, size) for size, step in zip(shape, self._steps, strict=True)]
        self._coarse = self.coords(self._picks)

    def coords(self, picks: Sequence[slice | np.ndarray]) -> Coords:
        """Canonical z, y, x (mm, float32) of the grid picked by one index per axis."""
        pick_z, pick_y, pick_x = picks
        factors_z, factors_y, factors_x = self._factors
        z, y, x = factors_z[pick_z], factors_y[pick_y], factors_x[pick_x]
        plane = (z[:, None] * y[None]).reshape(-1, z.shape[1])
        shape = (len(z), len(y), len(x))
        along_z, along_y, along_x = (((plane * weight) @ x.T).reshape(shape) for weight in self._weights)
        return along_z, along_y, along_x

    def box(self, low: np.ndarray, high: np.ndarray) -> Slices | None:
        """Voxels that may lie between two canonical corners (3,), mm; None where the field has none."""
        margin = 1.3 * float(np.max(np.multiply(self._steps, self.spacing_mm)))
        inside = np.ones(self._coarse[0].shape, bool)
        for axis in range(3):
            inside &= self._coarse[axis] > low[axis] - margin
            inside &= self._coarse[axis] < high[axis] + margin
        if not inside.any():
            return None
        return self._around(inside, 0), self._around(inside, 1), self._around(inside, 2)

    def _around(self, inside: np.ndarray, axis: int) -> slice:
        """Voxels of an axis around the coarse grid's hits, one step farther on both sides."""
        hits = self._picks[axis][inside.any(tuple({0, 1, 2} - {axis}))]
        start = max(0, int(hits[0]) - self._steps[axis])
        stop = min(self.shape[axis], int(hits[-1]) + self._steps[axis] + 1)
        return slice(start, stop)


def _factors(world: np.ndarray, axis: int, sines: np.ndarray) -> np.ndarray:
    """(voxels, terms) float32, an axis's factor of every term of the map.

    Args:
        world: Position of each voxel, mm.
        axis: 0, 1 or 2.
        sines: (``SINE_MODES``, voxels).
    """
    one = np.ones_like(world)
    affine = [one, one, one]
    affine[axis] = world
    asymmetry = np.sqrt(world**2 + 400) - 20 if axis == 2 else one
    return np.column_stack([affine[0], affine[1], affine[2], one, asymmetry, sines.T]).astype(np.float32)


def _every(step: int, size: int) -> np.ndarray:
    """Every so many voxels of an axis, and the last one."""
    return np.unique(np.r_[0:size:step, size - 1])
