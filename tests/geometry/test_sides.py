"""Left and right targets told apart by their places, from planted heat maps."""

import numpy as np
import pytest
import torch

from soars_nnunet.geometry.heatmaps import heatmap_peaks
from soars_nnunet.geometry.sides import LEAST_APART_MM, LEAST_SHARE, join_sides, learn_sides, separate_sides

PARTNERS = [1, 0, 2]
SPACING_MM = 3.0
SIDES = [[0, 1, 60.0]]
LEFT, RIGHT = (5, 6, 30), (5, 6, 9)


def maps_of(*peaks, shape=(3, 12, 14, 40)):
    """Heat maps of (target, position, height) blobs, the highest of each target's."""
    maps, axes = torch.zeros(shape), torch.meshgrid(*map(torch.arange, shape[1:]), indexing="ij")
    for target, position, height in peaks:
        squared = sum((axis - at) ** 2 for axis, at in zip(axes, position, strict=True))
        maps[target] = torch.maximum(maps[target], height * torch.exp(-squared / 8))
    return maps


def peaks_of(maps):
    return [tuple(np.round(position).astype(int)) for position in heatmap_peaks(maps)[0]]


def test_what_is_learnt_is_the_median_of_the_cases_that_have_both():
    centers = np.zeros((5, 3, 3))
    centers[:, 1, 2] = [40, 50, 60, -50, np.nan]  # one case with swapped contours, one without the target
    assert learn_sides(centers, PARTNERS) == [[1, 0, 45.0]]
    assert learn_sides(centers * -1, PARTNERS) == [[0, 1, 45.0]]
    assert learn_sides(centers[4:], PARTNERS) == learn_sides(centers[:0], PARTNERS) == []
    near = centers * (LEAST_APART_MM - 1) / 45
    assert learn_sides(near, PARTNERS) == [], "their maps overlap"


def test_folds_agree_on_the_smallest_distance_of_the_pairs_that_all_know():
    assert join_sides([[[0, 1, 60.0], [2, 3, 20.0]], [[2, 3, 30.0], [0, 1, 50.0]]]) == [[0, 1, 50.0], [2, 3, 20.0]]
    assert join_sides([[[0, 1, 60.0], [2, 3, 20.0]], [[3, 2, 30.0], [0, 1, 50.0]]]) == [[0, 1, 50.0]]
    assert join_sides([SIDES, []]) == join_sides([]) == []


@pytest.mark.parametrize("partners_height", [0.7, 0.89, 0.95])
def test_a_map_that_answers_to_both_places_has_its_peak_on_its_own_side(partners_height):
    maps = maps_of((0, LEFT, 0.9), (0, RIGHT, partners_height), (1, RIGHT, 0.97), (1, LEFT, 0.6), (2, LEFT, 0.4))
    separated = separate_sides(maps, SIDES, SPACING_MM)
    assert peaks_of(separated)[:2] == [LEFT, RIGHT]
    assert separated[0, 5, 6, 9] == separated[1, 5, 6, 30] == 0
    assert separated[0, 5, 6, 30] == maps[0, 5, 6, 30], "nothing changes on a target's own side"
    assert torch.equal(separated[2], maps[2]) and torch.equal(separate_sides(maps, [], SPACING_MM), maps)


@pytest.mark.parametrize("spacing_mm", [1.5, 3.0])
@pytest.mark.parametrize("apart_mm", [21, 33])
def test_peaks_may_be_nearer_than_usual_down_to_a_share(apart_mm, spacing_mm):
    """Both maps answer to both places; those are the pair's only if they are far enough apart, in mm."""
    at = (5, 6, 5 + round(apart_mm / spacing_mm)), (5, 6, 5)
    maps = maps_of((0, at[0], 0.9), (0, at[1], 0.8), (1, at[1], 0.7), (1, at[0], 0.75))
    separated = separate_sides(maps, SIDES, spacing_mm)
    assert LEAST_SHARE * SIDES[0][2] == 30
    if apart_mm > 30:
        assert peaks_of(separated)[:2] == list(at) and separated[1].max() == pytest.approx(0.7)
    else:
        assert torch.equal(separated[0], maps[0]) and separated[1].max() < 0.4, "the other is not in the scan"


@pytest.mark.parametrize(
    "maps",
    [
        maps_of((0, LEFT, 0.9), (1, LEFT, 0.7)),
        maps_of((0, (5, 6, 5), 0.9), (1, (5, 6, 5), 0.1)).clamp(min=0.03),
        maps_of((0, (5, 6, 5), 0.9), (1, (5, 6, 5), 0.5)),
        maps_of((0, (5, 6, 4), 0.9), (1, (5, 6, 4), 0.5), shape=(2, 12, 14, 14)),
        maps_of((0, (5, 6, 20), 0.9), (0, (5, 6, 35), 0.3), (1, (5, 6, 20), 0.7)),
    ],
    ids=["middle", "border", "border without noise", "narrow", "distractor"],
)
def test_a_target_outside_the_scan_does_not_take_its_partners_place(maps):
    separated, (place, _) = separate_sides(maps, SIDES, SPACING_MM), peaks_of(maps)[:2]
    assert peaks_of(separated)[0] == place and separated[0].max() == pytest.approx(0.9)
    assert separated[1].max() < 0.1
    mirrored = separate_sides(maps[[1, 0]].flip(-1), SIDES, SPACING_MM)
    assert torch.equal(mirrored, separated[[1, 0]].flip(-1))


def test_equally_high_maps_in_each_others_way_stay_as_they_are():
    maps = maps_of((0, LEFT, 0.9), (1, LEFT, 0.9))
    assert torch.equal(separate_sides(maps, SIDES, SPACING_MM), maps)
    empty = torch.zeros(2, 3, 4, 0)
    assert separate_sides(empty, SIDES, SPACING_MM).shape == empty.shape


def test_plateaus_are_parted_midway():
    """As maps that are cut at 1 have them: many pairs of columns are equally high."""
    maps = torch.zeros(2, 3, 4, 40)
    maps[0, ..., 28:34], maps[1, ..., 8:12] = 1, 1
    maps[:, ..., 12:28] = 0.2
    separated = separate_sides(maps, SIDES, SPACING_MM)
    assert (separated[0, 0, 0].nonzero().min(), separated[1, 0, 0].nonzero().max()) == (20, 20)


@pytest.mark.parametrize("cut", [0.5, 1.0])
def test_mirrored_maps_are_separated_in_mirrored_places(cut):
    torch.manual_seed(0)
    maps = (maps_of((0, LEFT, 0.9), (0, RIGHT, 0.9), (1, RIGHT, 0.9)) + 0.05 * torch.rand(3, 12, 14, 40)).clamp(0, cut)
    mirrored = separate_sides(maps[PARTNERS].flip(-1), SIDES, SPACING_MM)
    assert torch.equal(mirrored, separate_sides(maps, SIDES, SPACING_MM)[PARTNERS].flip(-1))
