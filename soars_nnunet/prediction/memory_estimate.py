"""How much memory the prediction of a CT takes, before it starts.

The figures count what the steps hold at a time, by image voxels, network voxels and classes;
``scripts/benchmarks/inference.py`` prints the estimate beside what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from soars_nnunet.prediction.branch_model import BranchModel
from soars_nnunet.prediction.memory_limits import GIB
from soars_nnunet.prediction.tiling import MAX_TILE_VOXELS, tiles_at_a_time

ORIENTED_BYTES = 5
"""A voxel of a CT that is read and brought into the networks' frame: its float32 copy; the rest is the image, twice."""
HELD_BYTES = 4
"""A voxel of the image while networks run, beside the image: its float32 copy."""
STITCHING_BYTES = 18
"""A voxel of the image, beside it: labels and probabilities of two tiers and merged ones, and copies of labels."""
OVERHEAD_BYTES = GIB // 4
"""Libraries that are loaded on first use, and freed blocks that the allocator keeps; 0.2 GiB were measured."""
LAYER_COPIES = 1.0
"""What a network takes on a tile, by the sum of its convolutions' outputs: 0.5 to 0.9 were measured."""
FLOAT = 4


@dataclass(frozen=True)
class Needed:
    """Upper bounds of what one CT takes, in bytes, beside what the process holds already.

    Attributes:
        preparing: While it is read, checked and oriented.
        running: While networks run on it.
        exporting: While its labels are made and written.
        prepared: Part of ``running`` that is held when networks start.
        inferred: Part of ``exporting`` that is held when they end.
    """

    preparing: int
    running: int
    exporting: int
    prepared: int = 0
    inferred: int = 0

    @property
    def alone(self) -> int:
        """Nothing else is worked on meanwhile."""
        return OVERHEAD_BYTES + max(self.preparing, self.running, self.exporting)

    @staticmethod
    def side_by_side(cases: Sequence[Needed]) -> int:
        """Networks run on any of the cases, while another is prepared and a third exported."""
        preparing = max((case.preparing for case in cases), default=0)
        running = max((case.running for case in cases), default=0)
        exporting = max((case.exporting for case in cases), default=0)
        return OVERHEAD_BYTES + preparing + running + exporting


def estimate(
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    models: Iterable[BranchModel],
    vois_mm: Iterable[Sequence[float]] = (),
    *,
    pixel_bytes: int = 2,
) -> Needed:
    """What the prediction of a CT takes.

    With a GPU it is what is needed where results do not fit there.

    Args:
        shape: Voxels of the CT (Z, Y, X).
        spacing_mm: Its voxel size (Z, Y, X).
        models: The networks that will run on it.
        vois_mm: Extents (Z, Y, X) of all small & hard VOIs.
        pixel_bytes: Of a voxel as stored.
    """
    image = math.prod(int(size) for size in shape)
    extent_mm = np.asarray(shape) * np.asarray(spacing_mm)
    vois_mm = list(vois_mm)
    held, largest_run, resampling = 0, 0, 0
    for model in models:
        in_vois = model.settings.branch == "small_hard"
        grids = _grids(model, vois_mm if in_vois else [extent_mm])
        network = _estimate_network(model, grids)
        held += network.results
        largest_run = max(largest_run, network.beside)
        if not in_vois:  # resampled within slices first, then across
            within_slices = int(shape[0]) * math.prod(grids[0][1:])
            resampling = max(resampling, FLOAT * (within_slices + 3 * network.voxels))
    return Needed(
        preparing=max(3 * pixel_bytes, 2 * pixel_bytes + ORIENTED_BYTES) * image,
        running=(pixel_bytes + HELD_BYTES) * image + max(resampling, held + largest_run),
        exporting=(pixel_bytes + STITCHING_BYTES) * image + held,
        prepared=(pixel_bytes + HELD_BYTES) * image,
        inferred=pixel_bytes * image + held,
    )


@dataclass(frozen=True)
class _NetworkMemory:
    """What a branch takes.

    Attributes:
        voxels: Of all grids that it runs on, at the network's resolution.
        results: Bytes of its output, held until labels are made.
        beside: Bytes that it takes beside them while it runs.
    """

    voxels: int
    results: int
    beside: int


def _grids(model: BranchModel, regions_mm: Sequence[Sequence[float] | np.ndarray]) -> list[list[int]]:
    """Voxels (Z, Y, X) that regions of an extent (Z, Y, X) have at the network's resolution."""
    grids = []
    for extent_mm in regions_mm:
        voxels = np.ceil(np.asarray(extent_mm) / model.spacing_mm)
        grids.append(voxels.astype(int).tolist())
    return grids


def _estimate_network(model: BranchModel, grids: Sequence[Sequence[int]]) -> _NetworkMemory:
    """What a branch takes on grids that it runs on together."""
    patch = math.prod(int(width) for width in model.configuration.patch_size)
    voxels, activations = 0, 0
    for grid in grids:
        voxels += max(patch, math.prod(grid))
        activations = max(activations, _feature_map_values(model, grid))
    channels, classes = model.settings.num_channels, model.num_outputs
    # input and its padded copy; sums of the windows and of the folds, or the softmax; the other side's, too
    copies = 2 * channels + (4 if model.mirror else 2) * classes
    results = FLOAT * voxels * classes
    everything = FLOAT * int(voxels * copies + LAYER_COPIES * activations)
    return _NetworkMemory(voxels=voxels, results=results, beside=everything - results)


def _feature_map_values(model: BranchModel, grid: Sequence[int]) -> int:
    """Outputs of all convolutions on the tiles that run at a time; large ones may be larger in a part of the grid."""
    tile = model.tile(grid).shape
    values = tiles_at_a_time(tile) * model.networks[0].compute_conv_feature_map_size(tile)
    if not model.uses_large_tiles:
        return values
    return int(values * max(1, min(MAX_TILE_VOXELS, math.prod(grid)) / math.prod(tile)))
