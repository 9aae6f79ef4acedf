import torch

from scripts.experiments.dead_filters import dead_filters


def test_filters_far_below_the_largest_are_dead():
    kernel = torch.ones(4, 2, 3, 3, 3)
    kernel[1] *= 0.02
    kernel[2] *= 0.005
    kernel[3] = 0
    assert dead_filters(kernel) == 2


def test_all_are_dead_where_nothing_is_left():
    assert dead_filters(torch.zeros(3, 2, 1, 1, 1)) == 3
