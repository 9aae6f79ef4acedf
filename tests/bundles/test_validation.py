"""To be filled."""

from soars_nnunet.bundles import validation


def test_it_is_there():
    assert validation.__doc__
