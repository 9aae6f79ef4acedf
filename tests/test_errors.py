import pytest

from soars_nnunet.errors import InputError, MissingArtifactError, listed


@pytest.mark.parametrize("kind", [InputError, MissingArtifactError])
def test_callers_catch_both_as_value_errors(kind):
    with pytest.raises(ValueError, match="expected a CT"):
        raise kind("expected a CT")


def test_bad_input_and_a_missing_step_are_told_apart():
    assert not issubclass(InputError, MissingArtifactError) and not issubclass(MissingArtifactError, InputError)


@pytest.mark.parametrize(
    ("faults", "text"),
    [
        ([], ""),
        (["a"], "a"),
        (["a", "b", "c"], "a; b; c"),
        (list("abcdefg"), "a; b; c; d; e; and 2 more"),
    ],
)
def test_faults_of_a_kind_are_listed_and_counted(faults, text):
    assert listed(faults) == text
