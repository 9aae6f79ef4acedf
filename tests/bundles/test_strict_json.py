"""To be filled."""

from soars_nnunet.bundles import strict_json


def test_it_is_there():
    assert strict_json.__doc__
