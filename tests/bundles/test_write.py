"""To be filled."""

from soars_nnunet.bundles import write


def test_it_is_there():
    assert write.__doc__
