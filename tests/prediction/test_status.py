"""Statuses of organs and detection targets."""

import itertools
from typing import get_args

import pytest

from soars_nnunet.prediction.status import ABSENT_FRACTION, STATUSES, Status, organ_status, target_status


def test_statuses_are_listed_once():
    assert set(STATUSES) == set(get_args(Status)) and len(STATUSES) == 4


@pytest.mark.parametrize(
    ("height", "border_mm", "status"),
    [
        (0.8, 100.0, "found"),
        (0.5, 8.0, "found"),  # neither is below its limit
        (0.499, 100.0, "low_confidence"),
        (0.25, 100.0, "low_confidence"),
        (0.249, 100.0, "absent"),
        (0.8, 7.9, "cut_by_field_of_view"),
        (0.3, 7.9, "cut_by_field_of_view"),
        (0.1, 7.9, "absent"),
    ],
)
def test_a_target_is_judged_by_its_peak(height, border_mm, status):
    assert ABSENT_FRACTION == 0.5
    assert target_status(height, border_mm, low_confidence_below=0.5, near_border_mm=8.0) == status


def test_an_organ_is_absent_before_it_is_cut_and_cut_before_its_target_counts():
    for touches, target in itertools.product((False, True), (None, *STATUSES)):
        assert organ_status(0, touches, target) == "absent"
        assert organ_status(1, True, target) == "cut_by_field_of_view"
    for target in STATUSES:
        assert organ_status(5, False, target) == target
    assert organ_status(5, False) == "found"
