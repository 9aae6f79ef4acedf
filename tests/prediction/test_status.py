"""Statuses of organs and detection targets."""

import itertools
from typing import get_args

import pytest

from soars_nnunet.prediction.status import NOT_FOUND_FRACTION, STATUSES, Status, organ_status, target_status


def test_statuses_are_listed_once():
    assert set(STATUSES) == set(get_args(Status)) and len(STATUSES) == 5


@pytest.mark.parametrize(
    ("height", "border_mm", "status"),
    [
        (0.8, 100.0, "found"),
        (0.5, 8.0, "found"),  # neither is below its limit
        (0.499, 100.0, "low_confidence"),
        (0.25, 100.0, "low_confidence"),
        (0.249, 100.0, "not_found"),
        (0.8, 7.9, "cut_by_field_of_view"),
        (0.3, 7.9, "cut_by_field_of_view"),
        (0.1, 7.9, "not_found"),
    ],
)
def test_a_target_is_judged_by_its_peak(height, border_mm, status):
    assert NOT_FOUND_FRACTION == 0.5
    assert target_status(height, border_mm, low_confidence_below=0.5, near_border_mm=8.0) == status


def test_an_organ_without_a_voxel_is_absent_only_where_the_scan_cannot_hold_it():
    for touches, target in itertools.product((False, True), (None, *STATUSES)):
        assert organ_status(0, touches, target) == "not_found"
        assert organ_status(0, touches, target, outside_scan=True) == "absent"
        assert organ_status(1, False, outside_scan=True) == "found", "what is seen is there"


def test_an_organ_is_cut_before_its_target_counts():
    for target in (None, *STATUSES):
        assert organ_status(1, True, target) == "cut_by_field_of_view"
    for target in STATUSES:
        assert organ_status(5, False, target) == target
    assert organ_status(5, False) == "found"
