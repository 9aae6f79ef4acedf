"""To be filled."""

from soars_nnunet.bundles import format


def test_it_is_there():
    assert format.__doc__
