"""Colours of organs: far apart for the eye, measured by an implementation of CIEDE2000 that is not ours."""

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from soars_nnunet.images.organ_colors import color_table, organ_colors
from soars_nnunet.profile import available_profiles, load_profile


def labels_of(profile):
    return {"background": 0, **{organ.name: organ.label for organ in load_profile(profile).organs}}


def smallest_distance(colors, others=None):
    """Smallest CIEDE2000 distance of two of the colours, or of one of them from one of the others."""
    lab = rgb2lab(np.array(colors)[:, None] / 255)
    to = lab if others is None else rgb2lab(np.array(others)[:, None] / 255)
    between = deltaE_ciede2000(lab, np.moveaxis(to, 0, 1))
    if others is None:
        np.fill_diagonal(between, np.inf)
    return between.min()


def test_the_42_organs_can_be_told_apart_and_seen_on_black_white_and_grey():
    colors = list(organ_colors(labels_of("hn42")).values())
    assert len(colors) == 42
    assert smallest_distance(colors) > 14
    assert smallest_distance(colors, [(0, 0, 0)]) > 30
    assert smallest_distance(colors, [(grey, grey, grey) for grey in range(0, 256, 15)]) > 10


def test_all_colours_of_the_table_differ_clearly():
    table = color_table()
    colors = [*table.by_name.values(), *table.of_other_names]
    assert len(colors) == 64 and smallest_distance(colors) > 10
    assert smallest_distance(colors, [(0, 0, 0)]) > 30


@pytest.mark.parametrize("profile", available_profiles())
def test_every_organ_of_a_profile_has_a_colour_of_its_own(profile):
    labels = labels_of(profile)
    colors = organ_colors(labels)
    assert list(colors) == [name for name in labels if name != "background"]
    assert smallest_distance(list(colors.values())) > 10


def test_an_organ_has_one_colour_in_all_profiles():
    known = organ_colors(labels_of("hn42"))
    for name, color in organ_colors(labels_of("openkbp7")).items():
        assert known.get(name, color) == color


def test_organs_of_other_names_keep_their_colours_if_only_some_are_asked_for():
    labels = {f"organ {value}": value for value in range(1, 10)}
    some = {name: value for name, value in labels.items() if value in (3, 8)}
    assert organ_colors(some) == {name: organ_colors(labels)[name] for name in some}


def test_no_two_of_255_organs_have_the_same_colour():
    colors = organ_colors({f"organ {value}": value for value in range(256)})
    assert len(colors) == len(set(colors.values())) == 255
    assert organ_colors({}) == {} == organ_colors({"background": 0})
