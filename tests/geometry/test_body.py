"""The patient's hull on crafted CTs."""

import numpy as np
import pytest
import torch

from soars_nnunet.geometry.body import MARGIN_MM, body_hull, grown_box

SPACING_MM = (5.0, 4.0, 4.0)


@pytest.fixture
def ct_hu():
    """A body of fat with an open airway, between slices of air, over a couch that it does not touch."""
    ct_hu = np.full((40, 60, 60), -1000.0)
    ct_hu[8:33, 12:41, 15:46] = -90
    ct_hu[8:33, 12:22, 28:33] = -1000  # open to the front
    ct_hu[5:36, 50:52, 5:55] = 0
    return ct_hu


def test_holds_the_body_and_its_airways_but_no_couch(ct_hu):
    hull = body_hull(ct_hu, SPACING_MM)
    expected = np.zeros(ct_hu.shape, bool)
    margin = [int(np.ceil(MARGIN_MM / mm)) for mm in SPACING_MM]
    expected[8 - margin[0] : 33 + margin[0], 12 - margin[1] : 41 + margin[1], 15 - margin[2] : 46 + margin[2]] = True
    np.testing.assert_array_equal(hull, expected)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_does_not_depend_on_the_direction(ct_hu, axis):
    ct_hu[10:20, 12:30, 15:20] = -1000
    np.testing.assert_array_equal(
        body_hull(np.flip(ct_hu, axis), SPACING_MM), np.flip(body_hull(ct_hu, SPACING_MM), axis)
    )


def test_padding_larger_than_the_patient_hides_nothing(ct_hu):
    body = ct_hu > -500
    padded = ct_hu.copy()
    padded[:, :, :8] = padded[:, :, 52:] = padded[:, 54:] = 0  # round a field of view
    parts = (padded == 0).sum(), body[8:33, 12:41, 15:46].sum()
    assert parts[0] > parts[1]
    assert body_hull(padded, SPACING_MM)[body].all()


def test_follows_every_slice(ct_hu):
    ct_hu[8:20, :, 30:] = -1000
    hull = body_hull(ct_hu, SPACING_MM)
    assert not hull[:18, :, 35:].any() and hull[22, 20, 45]


@pytest.mark.parametrize("empty", [np.full((10, 12, 12), -1000.0), np.full((2, 3, 3), 40.0), np.zeros((0, 5, 5))])
def test_leaves_nothing_out_without_a_body(empty):
    assert body_hull(empty, SPACING_MM).shape == empty.shape and body_hull(empty, SPACING_MM).all()


@pytest.mark.parametrize(
    "voxels, least, expected",
    [
        ((slice(4, 9), slice(2, 18), slice(7, 8)), (5, 8, 1), ((4, 9), (2, 18), (7, 8))),
        ((slice(4, 9), slice(2, 8), slice(7, 8)), (9, 9, 6), ((2, 11), (1, 9), (5, 10))),
        ((slice(0, 3), slice(18, 20), slice(1, 2)), (9, 8, 5), ((0, 9), (12, 20), (0, 5))),
        ((slice(0, 3), slice(18, 20), slice(1, 2)), (90, 90, 90), ((0, 20), (0, 20), (0, 20))),
    ],
)
def test_a_box_grows_alike_on_both_sides_but_not_out_of_the_volume(voxels, least, expected):
    mask = torch.zeros(20, 20, 20, dtype=torch.bool)
    mask[voxels] = True
    box = grown_box(mask, least)
    assert [(side.start, side.stop) for side in box] == list(expected)
    mirrored = grown_box(mask.flip(0, 1, 2), least)
    assert [(20 - side.stop, 20 - side.start) for side in mirrored] == list(expected)


def test_no_box_of_nothing():
    assert grown_box(torch.zeros(4, 5, 6, dtype=torch.bool), (2, 2, 2)) is None
