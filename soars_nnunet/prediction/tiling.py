"""Which tiles a network runs on; no torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal, get_args

MAX_TILE_VOXELS = 4_000_000
"""Of a large tile; P-HNN with 32 channels at full resolution takes about 460 bytes a voxel: 1.8 GB."""


MAX_BATCH_VOXELS = 2_200_000
"""Of the tiles that a network runs on at a time: two of 64 x 128 x 128."""


MAX_BATCH = 4
"""Tiles at a time; more gains nothing (scripts/benchmarks/forward.py)."""


TilingKind = Literal["default", "large", "everywhere", "everywhere-large"]
"""What ``--tiling`` takes; see ``Tiling``."""


TILING_KINDS: tuple[TilingKind, ...] = get_args(TilingKind)


@dataclass(frozen=True)
class Tiling:
    """Where a network runs, and on how large pieces.

    Attributes:
        kind: ``default``: tiles of the training patch's size, where something can be found. ``large``: anchor and
            mid-level run on tiles of up to ``MAX_TILE_VOXELS`` instead. ``everywhere``: on all tiles of the patient's
            box, also where nothing can be found. ``everywhere-large``: both.
        step_size: Step as a fraction of the tile in (0, 1], for all axes; None for the plans' own.

    Raises:
        ValueError: If there is no such kind.
    """

    kind: TilingKind = "default"
    step_size: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in TILING_KINDS:
            raise ValueError(f"tiling: expected one of {', '.join(TILING_KINDS)}, got '{self.kind}'")

    @property
    def everywhere(self) -> bool:
        """On all tiles of the patient's box, also where nothing can be found."""
        return self.kind in ("everywhere", "everywhere-large")

    @property
    def large(self) -> bool:
        """Anchor and mid-level run on tiles of up to ``MAX_TILE_VOXELS``."""
        return self.kind in ("large", "everywhere-large")

    def enlarged(self) -> Tiling:
        """The same on large tiles."""
        return replace(self, kind="everywhere-large" if self.everywhere else "large")

    def to_json(self) -> dict[str, Any]:
        """As reports and provenance hold it: the step, and a flag for each of what can be asked for."""
        return {"step_size": self.step_size, "everywhere": self.everywhere, "large": self.large}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Tiling:
        """What ``to_json`` made; a flag that is not there was not asked for."""
        kind: TilingKind = "everywhere" if stored.get("everywhere", False) else "default"
        tiling = cls(kind, stored.get("step_size"))
        return tiling.enlarged() if stored.get("large", False) else tiling


@dataclass(frozen=True)
class Tile:
    """A piece of a volume that a network runs on at a time.

    Attributes:
        shape: Voxels (Z, Y, X).
        steps: Largest step to the next one as a fraction of it, by axis, in (0, 1].
    """

    shape: Sequence[int]
    steps: Sequence[float]


DEFAULT_TILING = Tiling()
"""The training patch's size and the plans' steps, where something can be found."""


def large_tile(shape: Sequence[int], patch: Tile, max_voxels: int) -> Tile:
    """Tile as large as a limit allows that overlaps the next, in voxels, as much as those of the training patch's size.

    The axis on which a tile is longest, measured in patches, is cut into one more tile until the limit holds.

    Args:
        shape: Volume (Z, Y, X).
        patch: Training patch and its steps.
        max_voxels: Limit; a tile is never smaller than the patch.
    """
    least = tuple(patch.shape)
    overlap = []
    for width, step in zip(least, patch.steps, strict=True):
        overlap.append(width - int(width * step))
    counts = [1] * len(least)
    tile = _covering(shape, least, overlap, counts)
    while prod(tile) > max_voxels and tile != least:
        ratios = [width / smallest for width, smallest in zip(tile, least, strict=True)]
        counts[ratios.index(max(ratios))] += 1
        tile = _covering(shape, least, overlap, counts)
    steps = []
    for width, shared in zip(tile, overlap, strict=True):
        steps.append((width - shared) / width)
    return Tile(shape=tile, steps=tuple(steps))


def _covering(
    shape: Sequence[int], least: Sequence[int], overlap: Sequence[int], counts: Sequence[int]
) -> tuple[int, ...]:
    """Smallest tile (Z, Y, X), not below the least, of which so many along each axis cover the volume."""
    tile = []
    for axis, count in enumerate(counts):
        covered = shape[axis] + (count - 1) * overlap[axis]
        width = -(-covered // count)  # rounded up
        tile.append(max(width, least[axis]))
    return tuple(tile)


def tiles_at_a_time(tile: Sequence[int]) -> int:
    """How many tiles (Z, Y, X) a network runs on at a time."""
    return min(MAX_BATCH, max(1, MAX_BATCH_VOXELS // prod(tile)))


def tiling_options(tiling: Tiling) -> str:
    """What to type for a tiling; a blank before each option, empty for the default."""
    text = "" if tiling.kind == "default" else f" --tiling {tiling.kind}"
    if tiling.step_size is not None:
        text += f" --step-size {tiling.step_size:g}"
    return text
