"""Which tiles: what is stored of a choice, what is typed for it, and how large tiles are laid."""

import numpy as np
import pytest

from soars_nnunet.prediction.sliding_window import tiles
from soars_nnunet.prediction.tiling import (
    DEFAULT_TILING,
    TILING_KINDS,
    Tile,
    Tiling,
    large_tile,
    tiles_at_a_time,
    tiling_options,
)


@pytest.mark.parametrize(
    ("tiling", "stored"),
    [
        (DEFAULT_TILING, {"step_size": None, "everywhere": False, "large": False}),
        (Tiling("large"), {"step_size": None, "everywhere": False, "large": True}),
        (Tiling("everywhere", 0.5), {"step_size": 0.5, "everywhere": True, "large": False}),
        (Tiling("everywhere-large"), {"step_size": None, "everywhere": True, "large": True}),
    ],
)
def test_what_is_stored_is_what_older_versions_stored(tiling, stored):
    assert list(tiling.to_json().items()) == list(stored.items())
    assert Tiling.from_json(stored) == tiling


def test_a_flag_that_was_not_stored_was_not_asked_for():
    assert Tiling.from_json({}) == DEFAULT_TILING
    assert Tiling.from_json({"step_size": 0.25, "everywhere": True}) == Tiling("everywhere", 0.25)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="tiling: expected one of default, large, everywhere, .*, got 'huge'"):
        Tiling("huge")


def test_every_kind_can_be_enlarged():
    enlarged = {kind: Tiling(kind, 0.5).enlarged() for kind in TILING_KINDS}
    assert all(tiling.large and tiling.step_size == 0.5 for tiling in enlarged.values())
    assert all(tiling.everywhere == Tiling(kind).everywhere for kind, tiling in enlarged.items())


@pytest.mark.parametrize(
    ("tiling", "typed"),
    [
        (DEFAULT_TILING, ""),
        (Tiling("large"), " --tiling large"),
        (Tiling("default", 0.5), " --step-size 0.5"),
        (Tiling("everywhere", 0.25), " --tiling everywhere --step-size 0.25"),
    ],
)
def test_what_to_type_for_a_tiling(tiling, typed):
    assert tiling_options(tiling) == typed


@pytest.mark.parametrize("shape", [(30, 40, 50), (100, 60, 200), (64, 64, 64), (300, 300, 300)])
@pytest.mark.parametrize("max_voxels", [1000, 64**3, 10**9])
def test_large_tiles_overlap_as_much_as_patches_do(shape, max_voxels):
    patch, steps = (32, 48, 40), (0.5, 0.75, 0.5)
    found = large_tile(shape, Tile(patch, steps), max_voxels)
    tile = found.shape
    assert all(width >= least for width, least in zip(tile, patch, strict=True))
    assert np.prod(tile) <= max_voxels or tile == patch
    grown = [max(n, width) for n, width in zip(shape, tile, strict=True)]
    boxes = list(tiles(grown, found))
    covered = np.zeros(grown, bool)
    for box in boxes:
        covered[box] = True
    assert covered.all()
    for axis in range(3):
        starts = sorted({box[axis].start for box in boxes})
        overlap = patch[axis] - int(patch[axis] * steps[axis])
        assert all(first + tile[axis] - second >= overlap for first, second in zip(starts, starts[1:], strict=False))
    if max_voxels == 10**9:
        assert len(boxes) == 1


@pytest.mark.parametrize(("tile", "expected"), [((64, 128, 128), 2), ((24, 24, 24), 4), ((160, 160, 160), 1)])
def test_tiles_at_a_time_are_bounded_by_their_voxels(tile, expected):
    assert tiles_at_a_time(tile) == expected
