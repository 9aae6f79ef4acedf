"""Which structures of a set are written."""

import json

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.importing.public_sets import available_sets, load_set
from soars_nnunet.importing.structures import choose_structures
from soars_nnunet.profile import ProfileError, load_profile


@pytest.mark.parametrize("name", available_sets())
def test_written_names_mean_one_organ_of_each_profile(name):
    table = load_set(name)
    for profile in ("hn42", "hn_clinic", "miccai2015", "openkbp7"):
        for structures in (None, profile):
            rows = choose_structures(table, structures, None)
            organs = [organ.name for row in rows if (organ := load_profile(profile).resolve(row.name))]
            assert len(set(organs)) == len(organs)
            if structures and name != "masks":
                assert len(organs) == len(rows) > 0


def test_unions_take_the_labels_of_their_parts():
    rows = {
        row.name: row for row in choose_structures(load_set("segrap2023"), None, ["Ear_Internal_L", "Bone_Mandible"])
    }
    assert set(rows["Ear_Internal_L"].labels) == {24, 26, 28} and set(rows["Bone_Mandible"].labels) == {36, 37}


def test_structures_can_be_named_as_written_or_as_published():
    table = load_set("deepmind")
    assert [row.name for row in choose_structures(table, None, ["orbit_lt", "Brain"])] == ["Brain", "Eye_L"]
    assert len(choose_structures(table, None, ["all"])) == 21


def test_a_profile_that_shares_nothing_is_refused(tmp_path):
    profile = tmp_path / "toes.json"
    organ = {"name": "Toe", "label": 1, "paper_name": "Toe", "tier": "anchor"}
    profile.write_text(json.dumps({"name": "toes", "organs": [organ]}))
    with pytest.raises(InputError, match="none of its structures is in profile"):
        choose_structures(load_set("openkbp"), str(profile), None)


def test_without_a_choice_the_table_decides_and_all_is_every_published_structure():
    table = load_set("segrap2023")
    default = choose_structures(table, None, None)
    assert [row.name for row in default] == [row.name for row in table.structures if row.write]
    everything = choose_structures(table, "openkbp7", ["all"])  # goes before the profile
    assert len(everything) == 45 and not any(row.is_union for row in everything)


def test_a_set_without_structures_takes_those_of_the_profile_with_their_spellings():
    rows = choose_structures(load_set("masks"), "openkbp7", None)
    organs = load_profile("openkbp7").organs
    assert [row.name for row in rows] == [*(organ.name for organ in organs), "Bone_Mandible_L", "Bone_Mandible_R"]
    assert set(organs[0].aliases) < set(rows[0].aliases)
    assert [row.name for row in choose_structures(load_set("masks"), "hn42", ["parotid-l"])] == ["Parotid_L"]


def test_two_structures_that_mean_one_organ_of_the_profile_are_refused(tmp_path):
    data = load_profile("openkbp7").to_dict()
    data["organs"][0]["aliases"] = ["Lens_L", "Lens_R"]
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(data))
    with pytest.raises(ProfileError, match="two structures of structseg2019 mean Brainstem"):
        choose_structures(load_set("structseg2019"), str(path), None)
