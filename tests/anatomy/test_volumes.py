"""Which volumes are flagged."""

import pytest

from soars_nnunet.anatomy.facts import OrganFacts, Position
from soars_nnunet.anatomy.volumes import VolumeRange, volume_range


@pytest.mark.parametrize(
    ("volume_ml", "is_cut", "flag"),
    [
        (0.18, False, "far_below_training"),
        (0.18, True, None),  # the scan ends in it
        (1.99, False, "far_below_training"),
        (2.0, False, None),
        (6.0, False, None),
        (16.0, False, None),
        (16.1, False, "far_above_training"),
        (16.1, True, "far_above_training"),
    ],
)
def test_volumes_beyond_twice_the_percentiles_are_flagged(volume_ml, is_cut, flag):
    assert VolumeRange(4.0, 8.0).flag(volume_ml, is_cut=is_cut) == flag


def test_the_range_is_from_the_5th_to_the_95th_percentile_where_it_is_known():
    organ = OrganFacts(9, Position(0.0), Position(0.0), (1.0, 2.0, 3.0, 4.0, 5.0))
    assert volume_range(organ) == VolumeRange(2.0, 4.0)
    assert volume_range(OrganFacts(9, Position(0.0), Position(0.0))) is None
    assert volume_range(None) is None
