"""What a run of soars-stratify takes up from the one before."""

import pytest

from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.errors import InputError
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.remembered import StratifyChoices, lasting_profile, read_choices, remember

SOURCE = "Dataset042_Neck"


@pytest.fixture
def source(nnunet_folders):
    (nnunet_folders / SOURCE).mkdir(parents=True)
    return SOURCE


def test_what_is_given_outweighs_what_is_remembered():
    before = StratifyChoices(profile="hn42", one_tier=True, folds=2, patient_pattern="^(P)")
    assert StratifyChoices(folds=3, one_tier=False).completed(before) == StratifyChoices(
        "hn42", False, folds=3
    ).completed(StratifyChoices(patient_pattern="^(P)"))
    assert StratifyChoices().completed(before) == before


def test_choices_come_back_as_they_were(source):
    assert read_choices(42) == StratifyChoices()
    choices = StratifyChoices("hn42", True, False, 2, "/lists/cases.json", True, "^(P)")
    remember(source, choices)
    assert read_choices(42) == read_choices(SOURCE) == choices
    assert choices.typed() == (
        "-p hn42 --one-tier --folds 2 --not-annotated /lists/cases.json --empty-means-absent --patient-pattern ^(P)"
    )


@pytest.mark.parametrize("one_tier", [False, True])
def test_of_earlier_versions_the_record_tells(source, one_tier):
    profile = load_profile("hn42")
    if one_tier:
        profile = profile.in_one_tier()
    Cascade(source, profile, {"anchor": "Dataset421_Neck_Anchor"}, {}, num_folds=2, patient_pattern="^(P)").save()
    expected = StratifyChoices("hn42", one_tier or None, folds=2, patient_pattern="^(P)")
    assert read_choices(42) == expected
    assert expected.read_profile() == profile


@pytest.mark.parametrize(
    "data", [[], None, {"folds": "2"}, {"folds": True}, {"one_tier": 1}, {"profile": ["hn42"]}, {"regime": "demo"}]
)
def test_a_file_of_another_form_is_refused(source, data):
    write_json(Cascade.stratify_options(source), data)
    with pytest.raises(InputError, match=r"soars_stratify_options\.json: expected profile, .*; delete it"):
        read_choices(42)


def test_profiles_are_found_from_elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert lasting_profile("mine.json") == str(tmp_path / "mine.json")
    assert lasting_profile("hn42") == "hn42" and lasting_profile(None) is None
    with pytest.raises(InputError, match="-p: expected a profile, as the dataset was not stratified before"):
        StratifyChoices().read_profile()
