"""How much memory the prediction of a CT takes, before it starts: too little is an error, not a killed process.

The figures count what the steps hold at a time, by image voxels, network voxels and classes;
``scripts/benchmark_inference.py`` prints the estimate beside what was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import psutil

from soars_nnunet.ct import InputError
from soars_nnunet.inference import BranchModel

GIB = 2**30
PREPROCESSING_BYTES = 9
"""An image voxel: the image, its oriented and its float32 copy."""
IMAGE_BYTES = 6
"""An image voxel while networks run: the image and its float32 copy."""
STITCHING_BYTES = 20
"""An image voxel: the image, labels and probabilities of two tiers and merged ones, and a copy of labels or two."""
NEIGHBOURS_BYTES = 10
"""An image voxel: the next CT, which is being read, and the last labels, which are being written."""
LAYER_COPIES = 1.5
"""What convolutions take on a tile, by the sum of their outputs: not all are alive at a time, some are copied."""
FLOAT = 4
CGROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
"""Folder of a container's memory (v2, v1), its limit, what it uses, and cache in that which can be given back."""


def estimate_bytes(
    shape: Sequence[int],
    spacing_mm: Sequence[float],
    models: Iterable[BranchModel],
    vois_mm: Iterable[Sequence[float]] = (),
) -> int:
    """Upper bound of what one more CT takes, beside what the process holds already.

    On a CPU the networks' share is in it; on a GPU their results at least, which are copied back.

    Args:
        shape: Voxels of the CT (Z, Y, X).
        spacing_mm: Its voxel size (Z, Y, X).
        models: The networks that will run on it.
        vois_mm: Extents (Z, Y, X) of all small & hard VOIs.

    Returns:
        Bytes.
    """
    image = int(np.prod(shape, dtype=np.int64))
    extent_mm = np.asarray(shape) * np.asarray(spacing_mm)
    networks, held, slices = 0, 0, 0
    for model in models:
        patch = int(np.prod(model.configuration.patch_size, dtype=np.int64))
        regions_mm = list(vois_mm) if model.settings["branch"] == "small_hard" else [extent_mm]
        shapes = [np.ceil(np.asarray(mm) / model.spacing_mm).astype(int) for mm in regions_mm]
        voxels = [max(patch, int(shape.prod())) for shape in shapes]
        largest = max(voxels, default=0)
        channels, classes = len(model.settings["channel_names"]), model.num_outputs
        # input and its padded copy; sums of the windows, of the folds and of both sides, or the softmax
        copies = 2 * channels + (5 if model.mirror else 3) * classes
        tiles = [model.tile(shape)[0] for shape in shapes]
        activations = max((model.network.compute_conv_feature_map_size(tile) for tile in tiles), default=0)
        if regions_mm and model.settings["branch"] != "small_hard":
            slices = max(slices, FLOAT * shape[0] * int(shapes[0][1:].prod()))  # resampled within slices first
        networks = max(networks, FLOAT * int(largest * copies + LAYER_COPIES * activations))
        held += FLOAT * sum(voxels) * classes
    stages = (PREPROCESSING_BYTES * image + slices, IMAGE_BYTES * image + networks, STITCHING_BYTES * image)
    return NEIGHBOURS_BYTES * image + max(stages) + held


def available_bytes() -> int:
    """Memory that this process may still take: of the machine, or of its container if that has less."""
    free = psutil.virtual_memory().available
    for folder, limit, used, cached in CGROUPS:
        try:
            lines = (Path(folder) / "memory.stat").read_text().splitlines()
            cache = next(int(line.split()[1]) for line in lines if line.split()[0] == cached)
            free = min(free, int((Path(folder) / limit).read_text()) - int((Path(folder) / used).read_text()) + cache)
        except (OSError, ValueError, StopIteration):  # no such group, or "max"
            continue
    return max(0, free)


def describe_memory(needed: int) -> str:
    """An estimate, in bytes, in words, with what there is."""
    held = _held_bytes()
    return (
        f"estimated peak memory {(held + needed) / GIB:.1f} GiB, {(held + available_bytes()) / GIB:.1f} GiB may be used"
    )


def require_memory(needed: int, limit_gib: float | None, case: str) -> None:
    """Check an estimate against the memory there is.

    Args:
        needed: Bytes beside what the process holds already.
        limit_gib: The user's limit for the whole process, GiB, which he answers for; None for what is free.
        case: Which CT needs it, for the message.

    Raises:
        InputError: If it does not fit.
    """
    held = _held_bytes()
    usable = held + available_bytes() if limit_gib is None else int(limit_gib * GIB)
    if held + needed > usable:
        remedy = "close other programs, or give --memory-limit" if limit_gib is None else "raise --memory-limit"
        raise InputError(
            f"{case}: expected to need {(held + needed) / GIB:.1f} GiB of memory, {usable / GIB:.1f} GiB may be used; "
            f"{remedy}, name fewer organs with --roi-subset, or crop the CT"
        )


def _held_bytes() -> int:
    """What the process holds already."""
    return psutil.Process().memory_info().rss
