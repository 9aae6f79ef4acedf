import pytest

from soars_nnunet.errors import InputError, MissingArtifactError, did_you_mean, did_you_mean_each, listed


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


SETTINGS = ["num_epochs", "batch_size", "initial_lr", "seed"]


@pytest.mark.parametrize(
    ("name", "question"),
    [
        ("num_epoch", "; did you mean num_epochs?"),
        ("Batch-Size", "; did you mean batch_size?"),
        ("numepochs", "; did you mean num_epochs?"),
        ("zzz", ""),
        ("", ""),
    ],
)
def test_a_misspelt_name_is_asked_about(name, question):
    assert did_you_mean(name, SETTINGS) == question


def test_several_misspelt_names_are_asked_about_at_once():
    assert did_you_mean_each([], SETTINGS) == ""
    assert did_you_mean_each(["sed"], SETTINGS) == "; did you mean seed?"
    assert did_you_mean_each(["sed", "zzz", "num_epoch"], SETTINGS) == (
        "; did you mean seed for sed, num_epochs for num_epoch?"
    )
