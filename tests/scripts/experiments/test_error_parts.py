import numpy as np
import pytest

from scripts.experiments.error_parts import error_parts


def box(low, high, width=4):
    mask = np.zeros((12, 6, 6), bool)
    mask[low:high, :width, :width] = True
    return mask


def test_equal_masks_have_no_error():
    parts = error_parts(box(3, 8), box(3, 8))
    assert (parts.dsc, parts.dsc_between) == (1, 1)
    assert parts.above == parts.below == parts.beside == parts.missed == 0


def test_what_lies_beyond_the_ends_costs_nothing_between_them():
    parts = error_parts(box(3, 8), box(2, 10))
    assert parts.below == pytest.approx(1 / 5)
    assert parts.above == pytest.approx(2 / 5)
    assert parts.dsc_between == 1
    assert parts.dsc == pytest.approx(2 * 5 / (5 + 8))


def test_parts_make_up_the_dice():
    parts = error_parts(box(3, 8), box(5, 11, width=5))
    wrong = parts.above + parts.below + parts.beside
    found = 1 - parts.missed
    assert parts.beside > 0
    assert parts.missed == pytest.approx(2 / 5)
    assert parts.dsc == pytest.approx(2 * found / (1 + found + wrong))
