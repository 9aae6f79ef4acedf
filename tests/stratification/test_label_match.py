"""Labels of a dataset seen from a profile."""

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.label_match import match_labels

HN42 = load_profile("hn42")


def test_two_names_of_one_organ_are_refused():
    with pytest.raises(InputError, match="two labels for one organ, at 'brain_stem'"):
        match_labels({"background": 0, "Brainstem": 1, "brain_stem": 2}, HN42)


@pytest.mark.parametrize("name", ["ignore", "Ignore", "IGNORE"])
def test_ignore_label_is_no_organ_and_is_known(name):
    match = match_labels({"background": 0, "Brainstem": 1, name: 2}, HN42)
    assert (match.labels, match.unknown, match.ignore) == ({"Brainstem": 1}, [], 2)
    assert match.listed == {0, 1, 2}


def test_numbers_with_gaps_and_up_to_16_bits_are_fine():
    match = match_labels({"background": 0, "Brainstem": 7, "Cerebellum": 65535}, HN42)
    assert match.labels == {"Brainstem": 7, "Cerebellum": 65535} and match.ignore is None


def test_a_list_without_background_is_fine():
    assert match_labels({"Brainstem": 1}, HN42).labels == {"Brainstem": 1}


def test_organs_are_found_by_any_spelling_and_the_rest_is_told_apart():
    match = match_labels({"background": 0, "brain stem": 5, "LeftParotid": 2, "Tumour": 3}, HN42)
    assert match.labels == {"Brainstem": 5, "Parotid_L": 2} and match.unknown == ["Tumour"]
    assert match.absent == [organ.name for organ in HN42.organs if organ.name not in match.labels]


def test_names_that_are_read_are_found_after_those_that_the_profile_lists():
    labels = {"background": 0, "LT PAROTID": 1, "Brainstem": 2, "Hirnstamm": 3, "Chiasma": 4, "Chiasma opticum": 5}
    match = match_labels({**labels, "Left Optic Nerve": 6, "PTV_Cord": 7}, HN42)
    assert match.labels == {"Brainstem": 2, "Parotid_L": 1, "OpticNrv_L": 6}
    assert match.read_as == {"LT PAROTID": "Parotid_L", "Left Optic Nerve": "OpticNrv_L"}
    assert match.doubtful == {"Hirnstamm": "Brainstem", "Chiasma": "OpticChiasm", "Chiasma opticum": "OpticChiasm"}
    assert match.unknown == ["Hirnstamm", "Chiasma", "Chiasma opticum", "PTV_Cord"]


def test_a_label_of_two_organs_is_refused_however_they_are_spelled():
    with pytest.raises(InputError, match="two organs with one label"):
        match_labels({"background": 0, "Brainstem": 1, "LT PAROTID": 1}, HN42)
