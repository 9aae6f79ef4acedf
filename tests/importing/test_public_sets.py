import re

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.importing.public_sets import ROLES, available_sets, load_set, read_table
from soars_nnunet.profile import load_profile, normalise

SETS = ("deepmind", "hanseg", "masks", "openkbp", "pddca", "segrap2023", "structseg2019")
PUBLISHED = {"deepmind": 21, "hanseg": 30, "masks": 0, "openkbp": 7, "pddca": 9, "segrap2023": 45, "structseg2019": 22}
"""Structures that each set publishes."""
SEGRAP = """
Brain 1-9; BrainStem 2; Chiasm 3; TemporalLobe_L 4 6; TemporalLobe_R 5 7; Hippocampus_L 6 8; Hippocampus_R 7 9;
Eye_L 10 12; Eye_R 11 13; Lens_L 12; Lens_R 13; OpticNerve_L 14; OpticNerve_R 15; MiddleEar_L 16 18 20 24 28 30;
MiddleEar_R 17 19 21 25 29 31; IAC_L 18; IAC_R 19; TympanicCavity_L 20 22; TympanicCavity_R 21 23; VestibulSemi_L 24 26;
VestibulSemi_R 25 27; Cochlea_L 28; Cochlea_R 29; ETbone_L 30 32; ETbone_R 31 33; Pituitary 34; OralCavity 35;
Mandible_L 36; Mandible_R 37; Submandibular_L 38; Submandibular_R 39; Parotid_L 40; Parotid_R 41; Mastoid_L 42;
Mastoid_R 43; TMjoint_L 44; TMjoint_R 45; SpinalCord 46; Esophagus 47; Larynx 48-51; Larynx_Glottic 49;
Larynx_Supraglot 50; PharynxConst 51 52; Thyroid 53; Trachea 54"""


def side_of(published):
    found = re.search(r"[_-][AP]?([LR])t?$|^([LR])(?:eft|ight)", published)
    return found and (found.group(1) or found.group(2))


def test_every_set_has_a_table():
    assert tuple(available_sets()) == SETS
    with pytest.raises(InputError, match="expected one of deepmind, hanseg"):
        load_set("nothing")


@pytest.mark.parametrize("name", SETS)
def test_tables_are_whole(name):
    table, data = load_set(name), read_table(name)
    assert table.name == name and {pattern.role for pattern in table.files} <= set(ROLES)
    assert sum(len(row.published) == 1 for row in table.structures) == PUBLISHED[name]
    names = [row.name for row in table.structures]
    assert len(set(names)) == len(names)
    single = [row.published[0] for row in table.structures if len(row.published) == 1]
    assert len({normalise(n) for n in single}) == len(single)
    for row in table.structures:
        assert all(part in single for part in row.published)
        # a side in the published name is the side of the written one
        sides = {side_of(part) for part in row.published}
        if sides in ({"L"}, {"R"}):
            assert row.name.endswith(f"_{min(sides)}"), row
            other = row.name[:-1] + {"L": "R", "R": "L"}[min(sides)]
            partner = next(r for r in table.structures if r.name == other)
            assert (partner.write, partner.precedence) == (row.write, row.precedence)
    profile = load_profile(table.profile)
    assert all(isinstance(table.precedence(row, profile), int) for row in table.structures)
    assert set(table.test_groups) <= {group.name for group in table.groups}
    for choice, groups in data.get("test_groups", {}).items():
        assert choice in data["choices"]["test"]["values"] and set(groups) <= {g.name for g in table.groups}


def test_segrap_labels_are_the_published_ones():
    published = {}
    for text in SEGRAP.split(";"):
        name, *values = text.split()
        runs = [[int(v) for v in value.split("-")] for value in values]
        published[name] = {v for run in runs for v in range(run[0], run[-1] + 1)}
    rows = {row.published[0]: set(row.labels) for row in load_set("segrap2023").structures if len(row.published) == 1}
    assert rows == published and set().union(*rows.values()) == set(range(1, 55))


def test_structseg_labels_are_the_published_ones():
    order = (
        "Brainstem Eye_L Eye_R Lens_L Lens_R OpticNrv_L OpticNrv_R OpticChiasm Lobe_Temporal_L Lobe_Temporal_R "
        "Pituitary Parotid_L Parotid_R Ear_Internal_L Ear_Internal_R Ear_Middle_L Ear_Middle_R Joint_TM_L Joint_TM_R "
        "SpinalCord Bone_Mandible_L Bone_Mandible_R"
    ).split()
    rows = {row.name: row.labels for row in load_set("structseg2019").structures if row.labels}
    assert {name: values[0] for name, values in rows.items()} == {name: i for i, name in enumerate(order, 1)}
    assert {name for name, values in rows.items() if len(values) > 1} == {"Eye_L", "Eye_R"}


@pytest.mark.parametrize(
    ("number", "group"),
    [(1, "train"), (328, "train"), (329, "train_optional"), (479, "train_optional"), (555, "test_offsite")]
    + [(746, "test_offsite"), (788, "test_onsite"), (878, "test_onsite"), (500, None)],
)
def test_pddca_groups(number, group):
    assert load_set("pddca").group_of(number, None) == group
