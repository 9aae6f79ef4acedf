"""To be filled."""

from soars_nnunet.bundles import weights


def test_it_is_there():
    assert weights.__doc__
