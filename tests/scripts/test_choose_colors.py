"""The search for colours: farthest first, and exchanges that only ever help."""

import json

import numpy as np

from scripts.choose_colors import TABLE, candidates, distances, improve, nearest, spread


def test_distances_are_symmetric_and_zero_to_oneself():
    between = distances(np.array([(255, 0, 0), (0, 255, 0), (250, 0, 0)]))
    assert np.allclose(np.diag(between), 0) and np.allclose(between, between.T, atol=1e-6)
    assert between[0, 2] < 5 < 50 < between[0, 1]


def test_candidates_are_neither_dark_nor_grey():
    colors = candidates()
    assert len(colors) > 1000
    assert (colors.max(axis=1) > 90).all() and (np.ptp(colors, axis=1) > 20).all()


def test_points_on_a_line_are_spread_and_improved():
    places = np.array([0.0, 1.0, 4.0, 5.0, 9.0, 10.0])
    between = np.abs(places[:, None] - places)
    chosen = spread(between, [0], 3)
    assert sorted(places[chosen]) in ([0, 4, 10], [0, 5, 10])
    better = improve(between, [0, 1, 5])
    assert nearest(between, better)[0] >= 4 > nearest(between, [0, 1, 5])[0]


def test_the_table_that_ships_has_its_form():
    table = json.loads(TABLE.read_text())
    assert len(table["by_name"]) == 42 and len(table["of_other_names"]) == 22
