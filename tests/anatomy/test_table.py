"""The table of where organs lie."""

import pytest

from soars_nnunet.anatomy.table import known_anatomy
from soars_nnunet.profile import available_profiles, load_profile


@pytest.mark.parametrize("profile", available_profiles())
def test_every_organ_of_the_shipped_profiles_has_a_place(profile):
    names = [organ.name for organ in load_profile(profile).organs]
    assert set(known_anatomy(names).organs) == set(names)


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("Hirnstamm", "Brainstem"),
        ("Parotis_li", "Parotid_L"),
        ("Parotis re", "Parotid_R"),
        ("Unterkiefer", "Bone_Mandible"),
    ],
)
def test_names_of_clinics_are_known(name, like):
    assert known_anatomy([name, like]).organs[name] == known_anatomy([like]).organs[like]


def test_other_structures_are_not():
    assert known_anatomy(["GTV", "PTV_60", "Couch", ""]).organs == {}
