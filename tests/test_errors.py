import pytest

from soars_nnunet.errors import InputError, MissingArtifactError


@pytest.mark.parametrize("kind", [InputError, MissingArtifactError])
def test_callers_catch_both_as_value_errors(kind):
    with pytest.raises(ValueError, match="expected a CT"):
        raise kind("expected a CT")


def test_bad_input_and_a_missing_step_are_told_apart():
    assert not issubclass(InputError, MissingArtifactError) and not issubclass(MissingArtifactError, InputError)
