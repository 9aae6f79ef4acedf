"""How much memory the prediction of a CT takes, before it starts: too little is an error, not a killed process.

The figures count what the steps hold at a time, by image voxels, network voxels and classes;
``scripts/benchmarks/inference.py`` prints the estimate beside what was measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import psutil

from soars_nnunet.errors import InputError
from soars_nnunet.prediction.branch_model import BranchModel
from soars_nnunet.prediction.tiling import MAX_TILE_VOXELS, tiles_at_a_time

GIB = 2**30
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
CGROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Folder of the groups' memory (v2, v1), a group's limit, what it uses, and cache in that which can be given back."""
OWN_GROUPS = Path("/proc/self/cgroup")
"""Names this process's groups, one a line: number, controllers (``memory``; none in v2), path below that folder."""


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
        stages = ("preparing", "running", "exporting")
        return OVERHEAD_BYTES + sum(max((getattr(case, stage) for case in cases), default=0) for stage in stages)


def estimate(
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    models: Iterable[BranchModel],
    vois_mm: Iterable[Sequence[float]] = (),
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
    image = int(np.prod(shape, dtype=np.int64))
    extent_mm = np.asarray(shape) * np.asarray(spacing_mm)
    running, held, slices = [0], 0, 0
    for model in models:
        in_vois = model.settings.branch == "small_hard"
        patch = int(np.prod(model.configuration.patch_size, dtype=np.int64))
        regions_mm = list(vois_mm) if in_vois else [extent_mm]
        grids = [np.ceil(np.asarray(mm) / model.spacing_mm).astype(int) for mm in regions_mm]
        voxels = [max(patch, int(grid.prod())) for grid in grids]
        largest = max(voxels, default=0) if not in_vois else sum(voxels)  # all VOIs together
        channels, classes = model.settings.num_channels, model.num_outputs
        # input and its padded copy; sums of the windows and of the folds, or the softmax; the other side's, too
        copies = 2 * channels + (4 if model.mirror else 2) * classes
        activations = max((_feature_map_values(model, grid) for grid in grids), default=0)
        own = FLOAT * sum(voxels) * classes
        running.append(FLOAT * int(largest * copies + LAYER_COPIES * activations) - own)
        held += own
        if not in_vois:  # resampled within slices first, then across
            slices = max(slices, FLOAT * (shape[0] * int(grids[0][1:].prod()) + 3 * largest))
    return Needed(
        preparing=max(3 * pixel_bytes, 2 * pixel_bytes + ORIENTED_BYTES) * image,
        running=(pixel_bytes + HELD_BYTES) * image + max(slices, held + max(running)),
        exporting=(pixel_bytes + STITCHING_BYTES) * image + held,
        prepared=(pixel_bytes + HELD_BYTES) * image,
        inferred=pixel_bytes * image + held,
    )


def _feature_map_values(model: BranchModel, grid: Sequence[int]) -> int:
    """Outputs of all convolutions on the tiles that run at a time; large ones may be larger in a part of the grid."""
    tile = model.tile(grid).shape
    values = tiles_at_a_time(tile) * model.networks[0].compute_conv_feature_map_size(tile)
    if not model.uses_large_tiles:
        return values
    return int(values * max(1, min(MAX_TILE_VOXELS, math.prod(grid)) / math.prod(tile)))


def available_bytes() -> int:
    """Memory that this process may still take: of the machine, or of the least of its groups (container, batch job)."""
    free = psutil.virtual_memory().available
    for limit, used, unused_cache in _limits():
        free = min(free, limit - used + unused_cache)
    return max(0, free)


def total_bytes() -> int:
    """Memory that there is at all: of the machine, or the lowest limit of this process's groups."""
    return min([psutil.virtual_memory().total, *(limit for limit, *_ in _limits())])


def _limits() -> Iterator[tuple[int, int, int]]:
    """Of this process's groups: a group's limit, what it uses, and cache in that which can be given back."""
    for root, limit, used, cached in CGROUPS:
        for folder in _groups(Path(root)):
            try:
                lines = (folder / "memory.stat").read_text().splitlines()
                cache = next(int(line.split()[1]) for line in lines if line.split()[0] == cached)
                yield int((folder / limit).read_text()), int((folder / used).read_text()), cache
            except (OSError, ValueError, StopIteration):  # no such group, or "max"
                continue


def _groups(root: Path) -> list[Path]:
    """Folders of this process's own group and those that it lies in, the root's first."""
    try:
        entries = [line.split(":", 2) for line in OWN_GROUPS.read_text(encoding="utf-8").splitlines()]
    except OSError:
        entries = []
    paths = [Path(path) for _, controllers, path in entries if controllers in ("", "memory")]
    parts = [path.relative_to("/") for path in paths if path.is_absolute() and ".." not in path.parts]
    return list(dict.fromkeys([root, *(root / part for own in parts for part in reversed([own, *own.parents]))]))


@dataclass(frozen=True)
class MemoryPlan:
    """What CTs need and what there is.

    Attributes:
        needed: By case whose header makes sense.
        too_large: By case, why it is not even to be read.
        limit_gib: The user's limit for the whole process, which he answers for; None for what is free.
        held: What the process held before its first CT, bytes: later it also holds what ``needed`` counts.
        read: Bytes of the only CT, if it is read already.
    """

    needed: dict[str, Needed]
    too_large: dict[str, InputError]
    limit_gib: float | None
    held: int
    read: int = 0

    @classmethod
    def of(cls, needed: dict[str, Needed], limit_gib: float | None, read: int = 0) -> MemoryPlan:
        """Find the cases that are too large; without a limit only those that exceed what memory there is at all."""
        held, too_large = held_bytes() - read, {}
        for case, own in needed.items():
            if limit_gib is None and held + own.alone <= total_bytes():
                continue  # there may be more by the time it is worked on
            try:
                require_memory(own.alone, limit_gib, case, held)
            except InputError as error:
                too_large[case] = error
        return cls(needed, too_large, limit_gib, held, read)

    @property
    def possible(self) -> list[Needed]:
        """What the cases need that are not too large."""
        return [own for case, own in self.needed.items() if case not in self.too_large]

    @cached_property
    def side_by_side(self) -> bool:
        """Whether one case may be prepared and one exported while networks run on a third."""
        usable = available_bytes() if self.limit_gib is None else int(self.limit_gib * GIB) - self.held
        return len(self.needed) > 1 and Needed.side_by_side(self.possible) <= usable

    def describe(self) -> str:
        """The peak, estimated, in words, with what there is or the user's limit."""
        cases = self.possible or list(self.needed.values())
        alone = max((own.alone for own in cases), default=0)
        peak = Needed.side_by_side(cases) if self.side_by_side else alone
        usable = (self.held + self.read + available_bytes()) / GIB if self.limit_gib is None else self.limit_gib
        return f"estimated peak memory {(self.held + peak) / GIB:.1f} GiB, {usable:.1f} GiB may be used"

    def require(self, case: str) -> None:
        """Refuse a case that is too large, or, where cases come one after the other, for which too little is free now.

        Raises:
            InputError: If it is not to be read.
        """
        if case in self.too_large:
            raise self.too_large[case]
        if case in self.needed and not self.side_by_side and self.limit_gib is None:
            require_memory(self.needed[case].alone - self.read, None, case)

    def further(self, case: str, exported: str = "") -> int:
        """Bytes that a prepared case takes further, beside what one that is being exported may yet take.

        0 where the user has set a limit, against which all was held beforehand, or the case's header says nothing.
        """
        if self.limit_gib is not None or case not in self.needed:
            return 0
        own = self.needed[case]
        if beside := self.needed.get(exported):
            return own.running - own.prepared + beside.exporting - beside.inferred
        return max(own.running, own.exporting) - own.prepared


def require_memory(needed: int, limit_gib: float | None, case: str, held: int | None = None) -> None:
    """Check an estimate against the memory there is.

    Args:
        needed: Bytes beside what the process holds already.
        limit_gib: The user's limit for the whole process, GiB, which he answers for; None for what is free.
        case: Which CT needs it, for the message.
        held: What the process held before its first CT, for a limit: later it also holds what ``needed`` counts, and
            what it has freed. None for what it holds now.

    Raises:
        InputError: If it does not fit.
    """
    held = held_bytes() if held is None or limit_gib is None else held
    usable = held + available_bytes() if limit_gib is None else int(limit_gib * GIB)
    if held + needed > usable:
        remedy = "close other programs, or give --memory-limit" if limit_gib is None else "raise --memory-limit"
        raise InputError(
            f"{case}: expected to need {(held + needed) / GIB:.1f} GiB of memory, {usable / GIB:.1f} GiB may be used; "
            f"{remedy}, name fewer organs with --roi-subset, or crop the CT"
        )


def held_bytes() -> int:
    """What the process holds already."""
    return psutil.Process().memory_info().rss
