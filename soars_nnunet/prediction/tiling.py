"""Which tiles a network runs on; no torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

MAX_TILE_VOXELS = 4_000_000
"""Of a large tile; P-HNN with 32 channels at full resolution takes about 460 bytes a voxel: 1.8 GB."""


MAX_BATCH_VOXELS = 2_200_000
"""Of the tiles that a network runs on at a time: two of 64 x 128 x 128."""


MAX_BATCH = 4
"""Tiles at a time; more gains nothing (scripts/benchmarks/forward.py)."""


@dataclass(frozen=True)
class Tiling:
    """Where a network runs, and on how large pieces.

    Attributes:
        step_size: Step as a fraction of the tile, for all axes; None for the plans' own.
        everywhere: On all tiles of the patient's box, also where nothing can be found.
        large: Anchor and mid-level run on tiles of up to ``MAX_TILE_VOXELS`` instead of the training patch's size.
    """

    step_size: float | None = None
    everywhere: bool = False
    large: bool = False


DEFAULT_TILING = Tiling()
"""The training patch's size and the plans' steps, where something can be found."""


def large_tiles(
    shape: Sequence[int], patch: Sequence[int], steps: Sequence[float], max_voxels: int
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Tiles as large as a limit allows that overlap, in voxels, as much as those of the training patch's size.

    Args:
        shape: Volume (Z, Y, X).
        patch: Training patch (Z, Y, X).
        steps: Its steps as fractions of it.
        max_voxels: Limit; a tile is never smaller than the patch.

    Returns:
        Tile (Z, Y, X), and its steps as fractions of the tile.
    """
    overlap = [width - int(width * step) for width, step in zip(patch, steps, strict=True)]
    counts = [1, 1, 1]

    def tile() -> tuple[int, ...]:
        widths = (-(-(n + (count - 1) * o) // count) for n, o, count in zip(shape, overlap, counts, strict=True))
        return tuple(max(width, least) for width, least in zip(widths, patch, strict=True))

    while prod(tile()) > max_voxels and any(width > least for width, least in zip(tile(), patch, strict=True)):
        ratios = [width / least for width, least in zip(tile(), patch, strict=True)]
        counts[ratios.index(max(ratios))] += 1
    return tile(), tuple((width - o) / width for width, o in zip(tile(), overlap, strict=True))


def tiles_at_a_time(tile: Sequence[int]) -> int:
    """How many tiles (Z, Y, X) a network runs on at a time."""
    return min(MAX_BATCH, max(1, MAX_BATCH_VOXELS // prod(tile)))


def tiling_options(tiling: Mapping[str, Any]) -> str:
    """What to type for a tiling, given as a mapping of its fields; a blank before each option, none for the default."""
    asked = Tiling(**tiling)
    step = "" if asked.step_size is None else f" --step-size {asked.step_size:g}"
    return step + " --everywhere" * asked.everywhere + " --large-tiles" * asked.large
