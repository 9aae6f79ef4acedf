"""What the user says of names."""

import pytest

from soars_nnunet.cascade.aliases import apply_aliases, parse_aliases
from soars_nnunet.errors import InputError
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.label_match import match_labels

HN42 = load_profile("hn42")
NAMES = ["background", "Ohr vorn li", "Brainstem", "Kiefer", "Gl = x"]


def test_aliases_of_text():
    assert parse_aliases(["LT PAROTID=Parotid_L", " a = b "]) == {"LT PAROTID": "Parotid_L", "a": "b"}
    assert parse_aliases(["Gl = x=Larynx"]) == {"Gl = x": "Larynx"}
    assert parse_aliases([]) == parse_aliases(["none"]) == {}


@pytest.mark.parametrize("texts", [["LT PAROTID"], ["=Parotid_L"], ["a="], ["a=b", "a=c"]])
def test_texts_that_say_nothing_or_two_things_are_refused(texts):
    with pytest.raises(InputError, match="--alias"):
        parse_aliases(texts)


def test_an_alias_means_its_organ_from_then_on():
    profile = apply_aliases({"Ohr vorn li": "left parotid"}, HN42, NAMES, "Dataset007_A")
    assert profile.resolve("ohr-vorn_LI").name == "Parotid_L" and HN42.resolve("Ohr vorn li") is None
    match = match_labels({"Ohr vorn li": 4, "Brainstem": 2}, profile)
    assert match.labels == {"Parotid_L": 4, "Brainstem": 2} and not match.unknown


def test_an_alias_may_mean_the_whole_of_an_organ():
    aliases = {"Kiefer": "Bone_Mandible"}
    profile = apply_aliases(aliases, HN42, NAMES, "Dataset007_A")
    (made,) = match_labels({"Kiefer": 4, "Brainstem": 2}, profile, aliases).derived
    assert (made.organs, made.values) == (("Bone_Mandible_L", "Bone_Mandible_R"), (4,))


@pytest.mark.parametrize(
    ("aliases", "message"),
    [
        ({"Ohr vorn li": "Parotidd_L"}, "no organ 'Parotidd_L'; did you mean Parotid_L?"),
        ({"Ohr vorn li": "Nose"}, "no organ 'Nose'; it has Brainstem, Cerebellum"),
        ({"Ohr vorn": "Parotid_L"}, "Dataset007_A has no such name; did you mean 'Ohr vorn li'?"),
        ({"Brainstem": "Cerebellum"}, "means both"),
    ],
    ids=["misspelt organ", "unknown organ", "name of no label", "name of another organ"],
)
def test_aliases_that_contradict_are_refused(aliases, message):
    with pytest.raises(InputError) as refusal:
        apply_aliases(aliases, HN42, NAMES, "Dataset007_A")
    assert message in str(refusal.value) and "\n" not in str(refusal.value)


def test_two_labels_of_one_organ_are_refused():
    profile = apply_aliases({"Ohr vorn li": "Brainstem"}, HN42, NAMES, "Dataset007_A")
    with pytest.raises(InputError, match="two labels for one organ"):
        match_labels({"Ohr vorn li": 4, "Brainstem": 2}, profile)
