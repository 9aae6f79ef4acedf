"""To be filled."""

from soars_nnunet.bundles import container


def test_it_is_there():
    assert container.__doc__
