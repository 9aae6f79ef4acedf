"""Where organs can be, from planted anchors and organs."""

import numpy as np
import pytest

from soars_nnunet.geometry.reach import (
    MARGIN_MM,
    MIN_CASES,
    anchor_positions,
    join_reaches,
    learn_reach,
    organ_spans,
    reached,
    spans_of_both_sides,
)

SHAPE, SPACING_MM = (60, 50, 50), (4.0, 5.0, 5.0)
PLACES = [(20, 20, 20), (40, 30, 20), (20, 30, 35), (30, 12, 30)]


def anchors_at(shift=(0, 0, 0), shape=SHAPE, missing=()):
    """Cubes of 3 voxels a side."""
    anchors = np.zeros((len(PLACES), *shape), np.float32)
    for row, place in enumerate(PLACES):
        if row not in missing:
            anchors[(row, *(slice(p + s - 1, p + s + 2) for p, s in zip(place, shift, strict=True)))] = 0.9
    return anchors


def organ_at(centre, half=2):
    labels = np.zeros(SHAPE, np.int16)
    labels[tuple(slice(c - half, c + half + 1) for c in centre)] = 1
    return labels


def learn(cases, num_organs):
    return learn_reach([organ_spans(*case, num_organs) for case in cases])


@pytest.fixture
def reach():
    """The organ lies 5 to 8 voxels above the first anchor."""
    return learn(((anchors_at(), organ_at((20 + 5 + i, 20, 20)), SPACING_MM) for i in range(MIN_CASES)), 1)


def test_positions_are_medians_and_strays_do_not_move_them():
    anchors = anchors_at()
    anchors[0, 50:51, 5, 5] = 1
    np.testing.assert_allclose(anchor_positions(anchors, SPACING_MM), np.array(PLACES) * SPACING_MM)


def test_both_sides_span_the_patient_and_the_mirrored_one():
    anchors, labels = anchors_at(), organ_at((25, 20, 22))
    anchors[1, 40, 30, 21:24] = 0.9  # an even count, so that the median lies between two voxels
    labels[30:33, 5:9, 40:44] = 2
    partners, organs = [0, 2, 1, 3], [1, 0]
    flipped_anchors, flipped_labels = np.flip(anchors[partners], -1).copy(), np.flip(np.array([0, 2, 1])[labels], -1)
    own, other = (organ_spans(*c, SPACING_MM, 2) for c in ((anchors, labels), (flipped_anchors, flipped_labels)))
    both = spans_of_both_sides(own, partners, organs)
    np.testing.assert_allclose(both[:, :, 0], np.minimum(own, other)[:, :, 0])
    np.testing.assert_allclose(both[:, :, 1], np.maximum(own, other)[:, :, 1])
    np.testing.assert_allclose(spans_of_both_sides(other, partners, organs), both)
    assert not np.allclose(both, own)
    alone = own.copy()
    alone[2] = np.nan  # an anchor that one side shows counts for its partner
    assert np.isfinite(spans_of_both_sides(alone, partners, organs)).all()


@pytest.mark.parametrize("what", ["small", "cut", "unsure"])
def test_uncertain_anchors_have_no_position(what):
    anchors = anchors_at()
    if what == "small":
        anchors[0, 20, 20, 20:] = 0
        anchors[0, :20] = anchors[0, 21:] = 0
        anchors[0, :, :20] = anchors[0, :, 21:] = 0
    elif what == "cut":
        anchors[0, :20, 20, 20] = 1
    else:
        anchors[0] *= 0.5
    positions = anchor_positions(anchors, SPACING_MM)
    assert np.isnan(positions[0]).all() and np.isfinite(positions[1:]).all()


@pytest.mark.parametrize("shift", [(0, 0, 0), (10, 8, 6), (-5, -4, -3)])
def test_the_region_follows_the_patient_and_holds_the_organ(reach, shift):
    region = reached(anchors_at(shift), reach, SPACING_MM)
    margin = [int(np.ceil(MARGIN_MM / mm)) for mm in SPACING_MM]
    expected = [(23 + shift[0], 30 + shift[0]), (18 + shift[1], 22 + shift[1]), (18 + shift[2], 22 + shift[2])]
    for part, (lo, hi), m in zip(region, expected, margin, strict=True):
        assert (part.start, part.stop) == (max(0, lo - m), hi + m + 1)


def test_without_enough_certain_anchors_the_organ_may_be_anywhere(reach):
    assert reached(anchors_at(missing=(0,)), reach, SPACING_MM) is not None
    assert reached(anchors_at(missing=(0, 1)), reach, SPACING_MM) is None


def test_a_single_misplaced_anchor_decides_nothing(reach):
    anchors = anchors_at()
    anchors[0] = np.roll(anchors[0], 25, axis=0)
    assert reached(anchors, reach, SPACING_MM) == reached(anchors_at(), reach, SPACING_MM)


def test_anchors_that_contradict_each_other_are_not_believed(reach):
    anchors = anchors_at()
    for row, shift in ((0, 25), (1, -25)):
        anchors[row] = np.roll(anchors[row], shift, axis=0)
        anchors[row + 2] = np.roll(anchors[row + 2], shift, axis=0)
    assert reached(anchors, reach, SPACING_MM) is None


def test_an_organ_that_the_border_cuts_leaves_its_side_open():
    labels = [organ_at((25, 20, 20)) for _ in range(MIN_CASES)]
    labels[0][:25, 20, 20] = 1
    region = reached(anchors_at(), learn([(anchors_at(), one, SPACING_MM) for one in labels], 1), SPACING_MM)
    assert region[0].start == 0 and region[0].stop < SHAPE[0] and region[1].start > 0


def test_every_organ_must_have_been_seen_with_an_anchor():
    """Brain scans show the first organ alone; it would hide where the second one is."""
    cases = [(anchors_at(), organ_at((25, 20, 20)), SPACING_MM)] * MIN_CASES
    assert learn(cases, 1)[0] is not None and learn(cases, 2) == [None] * len(PLACES)
    both = organ_at((25, 20, 20))
    both[5:8, 30, 30] = 2
    reach = learn([*cases, *[(anchors_at(), both, SPACING_MM)] * MIN_CASES], 2)
    assert reached(anchors_at(), reach, SPACING_MM)[0].start == 0


def test_an_anchor_seldom_seen_whole_is_not_used():
    cases = [(anchors_at(missing=(1,) if i else ()), organ_at((30, 20, 20)), SPACING_MM) for i in range(MIN_CASES)]
    reach = learn(cases, 1)
    assert reach[1] is None and reach[0] is not None
    assert learn([], 1) == []


def test_cases_without_an_organ_teach_nothing():
    cases = [(anchors_at(), np.zeros(SHAPE), SPACING_MM)] * MIN_CASES
    assert learn(cases, 1) == [None] * len(PLACES)
    assert reached(anchors_at(), learn(cases, 1), SPACING_MM) is None


def test_folds_together_reach_as_far_as_any_and_know_what_all_know(reach):
    further = learn([(anchors_at(), organ_at((45, 20, 20)), SPACING_MM)] * MIN_CASES, 1)
    joined = join_reaches([reach, further])
    for whole, first, second in zip(joined, reach, further, strict=True):
        np.testing.assert_allclose(whole[0], np.minimum(first[0], second[0]))
        np.testing.assert_allclose(whole[1], np.maximum(first[1], second[1]))
    assert join_reaches([reach, [None, *further[1:]]])[0] is None
    assert join_reaches([reach, []]) == [] == join_reaches([])
