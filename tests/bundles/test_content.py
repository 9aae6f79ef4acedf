"""To be filled."""

from soars_nnunet.bundles import content


def test_it_is_there():
    assert content.__doc__
