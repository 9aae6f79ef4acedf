"""The anatomy's table: both sides, and the order in which labels are painted."""

import numpy as np
import pytest

from soars_nnunet.phantom.anatomy import anatomy, paint_order
from soars_nnunet.phantom.phantom import make_phantom
from soars_nnunet.profile import Profile, available_profiles, load_profile

HN42 = load_profile("hn42")


def test_every_organ_of_hn42_is_one_part_that_can_have_a_label():
    organs = [part.name for part in anatomy() if part.organ]
    assert sorted(organs) == sorted(organ.name for organ in HN42.organs)
    assert all(part.layers and part.shapes and part.volume_mm3() > 0 for part in anatomy())


def test_right_parts_are_the_left_ones_mirrored():
    parts = {part.name: part for part in anatomy()}
    pairs = [(part, parts[f"{name[:-2]}_R"]) for name, part in parts.items() if name.endswith("_L")]
    assert len(pairs) >= 13
    rng = np.random.default_rng(0)
    z, y, x = rng.uniform(-80, 80, (3, 500)).astype(np.float32)
    for left, right in pairs:
        for one, other in zip(left.shapes, right.shapes, strict=True):
            there = one.distance((z, y, x), 1.0)
            np.testing.assert_allclose(other.distance((z, y, -x), 1.0), there, atol=1e-3)
        np.testing.assert_array_equal(right.clip, left.clip * (1, 1, -1, 1))


DRAWN = sorted(set(available_profiles()) - {"hn_clinic"})
"""Profiles of organs that phantoms have; that of clinics has more."""


@pytest.mark.parametrize("name", DRAWN)
def test_later_labels_have_the_higher_precedence_and_among_equals_the_smaller_part(name):
    profile = load_profile(name)
    order = paint_order(profile)
    by_label = {organ.label: organ for organ in profile.organs}
    volumes = {part.name: part.volume_mm3() for part in anatomy() if part.organ}
    ranks = [(by_label[label].precedence, -volumes[part]) for part, label in order]
    assert ranks == sorted(ranks)
    assert {label for _, label in order} == set(by_label)


def test_an_organ_without_anatomy_is_refused():
    rows = [{"name": "Heart", "label": 1, "paper_name": "Heart", "tier": "anchor"}]
    with pytest.raises(ValueError, match="profile: expected organs among .* got Heart"):
        make_phantom(0, (8, 8, 8), (30.0, 30.0, 30.0), Profile.from_dict({"name": "chest", "organs": rows}))
