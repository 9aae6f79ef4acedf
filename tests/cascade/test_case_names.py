"""Names of crops and patients."""

import pytest

from soars_nnunet.cascade.case_names import crop_case, is_further_crop, name_hashes, patient_of, source_case


def test_name_hashes_do_not_tell_names_or_their_order():
    assert name_hashes(["b", "a"]) == name_hashes(["a", "b"])
    assert name_hashes([]) == []
    assert not any("patient" in text for text in name_hashes(["patient_1", "patient_2"]))


@pytest.mark.parametrize("case", ["a", "a__b", "patient_1__scan", "x-jitter1"])
def test_the_case_of_a_crop_is_found_again(case):
    assert source_case(crop_case(case, "Ear_L")) == case
    assert not is_further_crop(crop_case(case, "Ear_L"))


def test_a_name_that_is_no_crops_is_its_own_case():
    assert source_case("phantom_001") == "phantom_001"


@pytest.mark.parametrize(("name", "expected"), [("a__Ear_L-jitter1", True), ("a__Ear_L-jitter", False), ("a", False)])
def test_further_crops_are_known_by_their_ending(name, expected):
    assert is_further_crop(name) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [(None, "p01_scan2"), ("", "p01_scan2"), (r"^(p\d+)_", "p01"), ("nobody(x)", None), ("p01", None)],
)
def test_the_patient_is_the_first_group_of_the_pattern(pattern, expected):
    assert patient_of("p01_scan2", pattern) == expected
