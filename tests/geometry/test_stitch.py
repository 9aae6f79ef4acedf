"""Stitching against brute force: full-size interpolation of all channels, per-voxel merging."""

import numpy as np
import pytest
import torch
from example_grids import GRIDS
from scipy import ndimage
from torch.nn import functional

from soars_nnunet.geometry.stitch import Candidate, TierResult, interpolate_box, merge_tiers, tier_argmax


def smooth_softmax(channels, shape, seed, background=1.0, sharpness=6.0):
    rng = np.random.default_rng(seed)
    logits = ndimage.gaussian_filter(rng.normal(size=(channels, *shape)), (0, 1, 1, 1))
    logits /= logits.std()
    logits[0] += background
    return torch.softmax(torch.from_numpy(sharpness * logits).float(), dim=0)


def full_interpolation(probabilities, grid):
    return functional.interpolate(probabilities[None], grid.crop_shape, mode="trilinear", align_corners=False)[0]


def assert_equals_brute_force(probabilities, grid):
    result = tier_argmax(probabilities, grid)
    full = full_interpolation(probabilities, grid).numpy()
    best = np.sort(full, axis=0)
    clear = best[-1] - best[-2] > 1e-4 if len(full) > 1 else np.ones(grid.crop_shape, dtype=bool)
    inside = tuple(slice(lo, hi) for lo, hi in grid.crop)
    labels, probability = result.labels.numpy(), result.probability.numpy()
    assert labels.dtype == np.uint8 and probability.dtype == np.float32
    assert labels.shape == probability.shape == grid.image_shape
    np.testing.assert_array_equal(labels[inside][clear], full.argmax(0)[clear])
    np.testing.assert_allclose(probability[inside], best[-1], atol=1e-5)
    outside = np.ones(grid.image_shape, dtype=bool)
    outside[inside] = False
    assert not labels[outside].any() and (probability[outside] == 1).all()
    return result, clear


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("background", [-1.0, 1.0])
def test_tier_argmax_equals_full_interpolation(name, background):
    for seed in range(3):
        probabilities = smooth_softmax(6, GRIDS[name].shape, seed, background)
        result, clear = assert_equals_brute_force(probabilities, GRIDS[name])
        assert clear.mean() > 0.9
    assert result.labels.any() or name.startswith("one") or background > 0


@pytest.mark.parametrize("name", GRIDS)
def test_tier_argmax_of_organs_one_voxel_thin(name):
    grid = GRIDS[name]
    rng = np.random.default_rng(7)
    z, y, x = grid.shape
    organs = np.zeros((5, z, y, x), dtype=np.float32)
    organs[1, z // 2] = 1  # a sheet
    organs[2, :, y // 2, x // 2] = 1  # a line through it
    organs[3, 0, 0, 0] = organs[3, -1, -1, -1] = 1  # two far corners
    organs[4][tuple(rng.integers(0, n) for n in grid.shape)] = 1  # one voxel
    organs[0] = 0.6
    probabilities = torch.from_numpy(organs / organs.sum(0))
    assert_equals_brute_force(probabilities, grid)


def test_tier_argmax_does_not_depend_on_slabs(monkeypatch):
    probabilities = smooth_softmax(4, (13, 11, 17), 0)
    whole = tier_argmax(probabilities, GRIDS["upsampled"])
    for slab in (1, 5, 100):
        monkeypatch.setattr("soars_nnunet.geometry.stitch.SLAB", slab)
        again = tier_argmax(probabilities, GRIDS["upsampled"])
        np.testing.assert_array_equal(again.labels, whole.labels)
        np.testing.assert_allclose(again.probability, whole.probability, atol=1e-6)


def test_tier_argmax_ties_go_to_the_lower_channel_and_an_empty_tier_is_background():
    grid = GRIDS["same"]
    tied = torch.zeros(4, *grid.shape)
    tied[0, :6] = 0.5
    tied[2, :6] = 0.5
    tied[1, 6:] = tied[3, 6:] = 0.5
    labels = tier_argmax(tied, grid).labels
    assert (labels[:6] == 0).all() and (labels[6:] == 1).all()
    assert not tier_argmax(torch.ones(1, *grid.shape), grid).labels.any()


def test_tier_argmax_takes_half_precision_and_read_only_arrays():
    grid = GRIDS["upsampled"]
    probabilities = smooth_softmax(4, grid.shape, 1)
    reference = tier_argmax(probabilities, grid)
    frozen = probabilities.numpy().copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(tier_argmax(frozen, grid).labels, reference.labels)
    half = tier_argmax(probabilities.half(), grid)
    assert (half.labels == reference.labels).double().mean() > 0.999


def test_tier_argmax_rejects_what_is_not_on_the_grid():
    with pytest.raises(ValueError, match=r"expected probabilities .*13, 11, 17.* got \(4, 13, 11, 16\)"):
        tier_argmax(torch.zeros(4, 13, 11, 16), GRIDS["upsampled"])
    with pytest.raises(ValueError, match="expected a floating dtype"):
        tier_argmax(torch.zeros(4, 13, 11, 17, dtype=torch.int32), GRIDS["upsampled"])


@pytest.mark.parametrize("name", GRIDS)
def test_interpolate_box_is_a_part_of_full_interpolation(name):
    grid = GRIDS[name]
    rng = np.random.default_rng(0)
    volume = torch.from_numpy(rng.normal(size=grid.shape).astype(np.float32))
    full = full_interpolation(volume[None], grid)[0]
    for _ in range(20):
        box = tuple(tuple(sorted(int(i) for i in rng.integers(lo, hi + 1, size=2))) for lo, hi in grid.crop)
        part = full[tuple(slice(b_lo - lo, b_hi - lo) for (b_lo, b_hi), (lo, _) in zip(box, grid.crop, strict=True))]
        ours = interpolate_box(volume.numpy(), grid, box)
        assert ours.shape == part.shape and ours.dtype == torch.float32
        torch.testing.assert_close(ours, part, atol=1e-5, rtol=0)


def test_interpolate_box_does_not_change_its_input_and_rejects_boxes_outside_the_crop():
    grid = GRIDS["same"]
    volume = torch.rand(grid.shape)
    before = volume.clone()
    out = interpolate_box(volume, grid, grid.crop)
    out.zero_()
    torch.testing.assert_close(volume, before)
    with pytest.raises(ValueError, match="inside the crop 2..29, got 1..5"):
        interpolate_box(torch.rand(13, 11, 17), GRIDS["upsampled"], ((1, 5), (0, 4), (3, 5)))
    with pytest.raises(ValueError, match="expected a volume of the network shape"):
        interpolate_box(torch.rand(2, 2, 2), grid, grid.crop)


def slow_merge(shape, candidates, precedence):
    merged = np.zeros(shape, dtype=np.uint8)
    for voxel in np.ndindex(*shape):
        best = None
        for order, candidate in enumerate(candidates):
            local = tuple(v - o for v, o in zip(voxel, candidate.offset, strict=True))
            if any(not 0 <= v < n for v, n in zip(local, candidate.labels.shape, strict=True)):
                continue
            label = int(candidate.labels[local])
            if label:
                key = (precedence[label], float(candidate.probability[local]), -order)
                if best is None or key > best[0]:
                    best = (key, label)
        merged[voxel] = best[1] if best else 0
    return merged


def random_candidate(rng, shape, offset, labels):
    chosen = torch.from_numpy(rng.choice(labels, size=shape).astype(np.uint8))
    return Candidate(chosen, torch.from_numpy(rng.choice([0.25, 0.5, 0.75], size=shape).astype(np.float32)), offset)


@pytest.mark.parametrize("seed", range(4))
def test_merge_equals_a_loop_over_voxels(seed):
    rng = np.random.default_rng(seed)
    shape = (18, 7, 8)
    precedence = np.array([99, 0, 0, 5, 5, -3, 7, 7, 5])  # entry 0 must not matter
    boxes = [((4, 5, 6), (-2, 3, 5)), ((5, 5, 5), (15, -1, 1)), ((6, 3, 4), (1, 2, 2)), ((2, 2, 2), (30, 0, 0))]
    candidates = [
        random_candidate(rng, shape, (0, 0, 0), [0, 1, 2, 5]),
        random_candidate(rng, shape, (0, 0, 0), [0, 3]),
    ]
    candidates += [random_candidate(rng, size, offset, [0, 4, 6, 7, 8]) for size, offset in boxes]
    rng.shuffle(candidates)
    merged = merge_tiers(shape, iter(candidates), precedence)
    assert merged.dtype == torch.uint8
    np.testing.assert_array_equal(merged, slow_merge(shape, candidates, precedence))


def test_merge_without_candidates_and_with_bad_ones():
    assert not merge_tiers((2, 3, 4), [], np.array([0, 1])).any()
    ones = torch.ones((2, 2, 2), dtype=torch.uint8)
    with pytest.raises(ValueError, match="labels up to 1, which have a precedence, got label 3"):
        merge_tiers((2, 2, 2), [Candidate(3 * ones, ones.float())], np.array([0, 1]))
    with pytest.raises(ValueError, match="expected uint8 labels"):
        merge_tiers((2, 2, 2), [Candidate(ones.int(), ones.float())], np.array([0, 1]))
    with pytest.raises(ValueError, match="expected a precedence for each label"):
        merge_tiers((2, 2, 2), [], np.zeros((2, 2)))


def test_tier_result_becomes_a_candidate_in_final_labels():
    labels = torch.tensor([[[0, 1, 2, 3]]], dtype=torch.uint8)
    result = TierResult(labels, torch.full(labels.shape, 0.5))
    candidate = result.to_candidate([0, 40, 0, 7], offset=(1, 2, 3))
    assert candidate.labels.tolist() == [[[0, 40, 0, 7]]] and candidate.labels.dtype == torch.uint8
    assert candidate.offset == (1, 2, 3)
    for wrong in ([0, 1, 2], [1, 1, 1, 1], [0, 1, 2, 300]):
        with pytest.raises(ValueError, match="expected a final label"):
            result.to_candidate(wrong)
