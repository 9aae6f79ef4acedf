import json
from copy import deepcopy

import pytest

from soars_nnunet.profile import TIERS, Organ, Profile, ProfileError, available_profiles, load_profile

PAPER_ORGANS = (
    "Basal Ganglia Lt, Basal Ganglia Rt, Brachial Lt, Brachial Rt, Brainstem, Cerebellum, Cochlea Lt, Cochlea Rt, "
    "Const. inf, Const. mid, Const. sup, Epiglottis, Esophagus, Eye Lt, Eye Rt, Hippocampus Lt, Hippocampus Rt, "
    "Hypothalamus, Innerear Lt, Innerear Rt, Lacrimalgland Lt, Lacrimalgland Rt, Larynx core, Mandible Lt, "
    "Mandible Rt, Optic Chiasm, Optic Nerve Lt, Optic Nerve Rt, Oralcavity, Parotid Lt, Parotid Rt, Pineal Gland, "
    "Pituitary, Spinalcord, SMG Lt, SMG Rt, Temporal Lobe Lt, Temporal Lobe Rt, Thyroid Lt, Thyroid Rt, "
    "TMjoint Lt, TMjoint Rt"
).split(", ")
"""Rows of the paper's table 5."""


def small_profile(**changes):
    """Two anchors and a pair of nerves; ``changes`` maps an organ's name to fields that differ."""
    rows = [
        {"name": "Brainstem", "label": 1, "paper_name": "Brainstem", "tier": "anchor"},
        {"name": "Cerebellum", "label": 2, "paper_name": "Cerebellum", "tier": "anchor", "aliases": ["little brain"]},
        {"name": "OpticNrv_L", "label": 3, "paper_name": "Nerve Lt", "tier": "small_hard", "mirror": "OpticNrv_R"},
        {"name": "OpticNrv_R", "label": 4, "paper_name": "Nerve Rt", "tier": "small_hard", "mirror": "OpticNrv_L"},
    ]
    for row in rows[2:]:
        row["target"] = row["name"]
    sources = {"tolerance_sources": {"paper": "A. Author, 2020"}}
    return {"name": "small", **sources, "organs": [{**row, **changes.get(row["name"], {})} for row in rows]}


@pytest.mark.parametrize(
    ("name", "counts", "num_targets"),
    [
        ("hn42", (9, 21, 12), 10),
        ("hn_clinic", (8, 21, 14), 12),
        ("miccai2015", (2, 4, 3), 3),
        ("openkbp7", (3, 4, 0), 0),
    ],
)
def test_shipped_profiles(name, counts, num_targets):
    profile = load_profile(name)
    assert profile.name == name
    assert tuple(len(profile.tier(tier)) for tier in TIERS) == counts
    assert len(profile.targets) == num_targets
    assert [organ.label for organ in profile.organs] == list(range(1, sum(counts) + 1))


def test_available_profiles_are_the_shipped_ones():
    assert available_profiles() == ["hn42", "hn_clinic", "miccai2015", "openkbp7"]


def test_cochlea_and_inner_ear_share_a_target():
    profile = load_profile("hn42")
    pairs = {tuple(organ.name for organ in organs) for organs in profile.targets.values() if len(organs) == 2}
    assert pairs == {("Cochlea_L", "Ear_Internal_L"), ("Cochlea_R", "Ear_Internal_R")}
    for side in "LR":
        cochlea, ear = (profile.by_name[f"{name}_{side}"] for name in ("Cochlea", "Ear_Internal"))
        assert cochlea.precedence > ear.precedence
        assert set(ear.composite) == {cochlea.name, ear.name}


def test_every_row_of_the_papers_tables_is_an_organ():
    profile = load_profile("hn42")
    assert sorted(organ.paper_name for organ in profile.organs) == sorted(PAPER_ORGANS)
    assert {profile.resolve(name).paper_name for name in PAPER_ORGANS} == set(PAPER_ORGANS)


@pytest.mark.parametrize("name", ["hn42", "hn_clinic", "miccai2015", "openkbp7"])
def test_mirror_partners_name_each_other_and_share_a_tier(name):
    profile = load_profile(name)
    for organ in profile.organs:
        assert (organ.side is None) == (organ.mirror is None)
        if organ.mirror:
            partner = profile.by_name[organ.mirror]
            assert partner.mirror == organ.name and partner.tier == organ.tier
            assert {organ.side, partner.side} == {"L", "R"}
            assert partner.name[:-1] == organ.name[:-1]


@pytest.mark.parametrize(
    ("alias", "expected"),
    [
        ("Optic-Nerve-Lt", "OpticNrv_L"),  # DeepMind's TCIA set
        ("optic nerve lt", "OpticNrv_L"),
        ("OPTIC_NERVE_RT", "OpticNrv_R"),
        ("Cochlea-Lt", "Cochlea_L"),
        ("Lacrimal-Rt", "Glnd_Lacrimal_R"),
        ("Submandibular-Lt", "Glnd_Submand_L"),
        ("Spinal-Cord", "SpinalCord"),
        ("Orbit-Rt", "Eye_R"),
        ("Parotid-Lt", "Parotid_L"),
        ("Brainstem", "Brainstem"),  # OpenKBP
        ("SpinalCord", "SpinalCord"),
        ("LeftParotid", "Parotid_L"),
        ("RightParotid", "Parotid_R"),
        ("Esophagus", "Esophagus"),
        ("Larynx", "Larynx"),
        ("BrainStem", "Brainstem"),  # PDDCA
        ("Chiasm", "OpticChiasm"),
        ("OpticNerve_R", "OpticNrv_R"),
        ("Submandibular_L", "Glnd_Submand_L"),
        ("brain.stem", "Brainstem"),
        ("Bone_Mandible_L", "Bone_Mandible_L"),
    ],
)
def test_aliases_of_public_datasets(alias, expected):
    assert load_profile("hn42").resolve(alias).name == expected


def test_whole_mandible_is_one_organ_only_in_the_smaller_profiles():
    assert load_profile("miccai2015").resolve("Mandible").name == "Bone_Mandible"
    assert load_profile("openkbp7").resolve("Mandible").name == "Bone_Mandible"
    assert load_profile("hn42").resolve("Mandible") is None
    assert load_profile("hn42").resolve("PTV70") is None


@pytest.mark.parametrize("name", ["hn42", "hn_clinic", "miccai2015", "openkbp7"])
def test_every_organ_has_a_tolerance_with_a_source_alike_on_both_sides_and_in_all_profiles(name):
    profile, whole = load_profile(name), load_profile("hn42")
    used = set()
    for organ in profile.organs:
        assert 0.9 < organ.tolerance_mm <= 3.0
        used.add(organ.tolerance_source)
        same = [profile.by_name[organ.mirror]] if organ.mirror else []
        same += [whole.by_name[organ.name]] if organ.name in whole.by_name else []
        for other in same:
            assert (other.tolerance_mm, other.tolerance_source) == (organ.tolerance_mm, organ.tolerance_source)
    assert used == set(profile.tolerance_sources)
    confirmed = {"Brainstem": 2.5, "Parotid_L": 2.85, "OpticNrv_L": 2.5, "Bone_Mandible": 1.01, "Cavity_Oral": 3.0}
    for key, tolerance_mm in confirmed.items():
        assert key not in profile.by_name or profile.by_name[key].tolerance_mm == tolerance_mm


def test_a_profile_without_tolerances_is_fine():
    profile = Profile.from_dict(small_profile())
    assert {organ.tolerance_mm for organ in profile.organs} == {None}
    data = small_profile(Brainstem={"tolerance_mm": 2, "tolerance_source": "paper"})
    assert Profile.from_dict(data).by_name["Brainstem"].tolerance_mm == 2
    del data["tolerance_sources"], data["organs"][0]["tolerance_mm"], data["organs"][0]["tolerance_source"]
    assert Profile.from_dict(data).tolerance_sources == {}


@pytest.mark.parametrize("name", ["hn42", "hn_clinic", "miccai2015", "openkbp7"])
def test_round_trip_through_json(name):
    profile = load_profile(name)
    again = Profile.from_dict(json.loads(json.dumps(profile.to_dict())))
    assert again == profile
    assert again.resolve("BRAIN STEM") == profile.resolve("Brainstem")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Cerebellum": {"label": 1}}, "two organs with one label: Brainstem and Cerebellum"),
        ({"Brainstem": {"mirror": "Brainstem_X"}}, "Brainstem names the unknown organ 'Brainstem_X'"),
        ({"Brainstem": {"composite": ["Pons"]}}, "Brainstem names the unknown organ 'Pons'"),
        ({"Cerebellum": {"mirror": "Brainstem"}}, "does not name it back"),
        ({"OpticNrv_R": {"label": 6}}, r"labels must be 1 to 4 without gaps, got \[1, 2, 3, 6\]"),
        ({"Cerebellum": {"tier": "middle"}}, "Cerebellum: expected a tier of anchor, mid_level, small_hard"),
        ({"Cerebellum": {"aliases": ["brain-STEM"]}}, "means both Brainstem and Cerebellum"),
        ({"Cerebellum": {"name": "Brainstem"}}, "got a name twice"),
        ({"Cerebellum": {"target": "Cerebellum"}}, "a detection target belongs to"),
        ({"OpticNrv_L": {"target": None}}, "a detection target belongs to"),
        ({"Brainstem": {"tier": "mid_level"}, "Cerebellum": {"tier": "mid_level"}}, "at least one anchor"),
        ({"Brainstem": {"colour": "red"}}, "colour"),
        ({"Brainstem": {"tolerance_mm": 1.0}}, "Brainstem: expected a tolerance_source out of tolerance_sources"),
        (
            {"Brainstem": {"tolerance_source": "paper"}},
            "Brainstem: expected a tolerance_mm between 0 and 100, got None",
        ),
        ({"Brainstem": {"tolerance_mm": -1.0, "tolerance_source": "paper"}}, "got -1.0"),
        ({"Brainstem": {"tolerance_mm": "1", "tolerance_source": "paper"}}, "got '1'"),
        ({"Brainstem": {"tolerance_mm": float("nan"), "tolerance_source": "paper"}}, "got nan"),
        ({"Brainstem": {"tolerance_mm": 1.0, "tolerance_source": "hearsay"}}, r"\(paper\), got 'hearsay'"),
    ],
)
def test_contradictions_are_refused(changes, message):
    assert len(Profile.from_dict(small_profile()).organs) == 4
    with pytest.raises(ProfileError, match=message):
        Profile.from_dict(small_profile(**changes))


def test_missing_keys_are_refused():
    data = small_profile()
    for broken in ({}, {"name": "x"}, {"name": "x", "organs": []}, {"name": "x", "organs": [{"name": "Eye"}]}):
        with pytest.raises(ProfileError):
            Profile.from_dict(broken)
    without_label = deepcopy(data)
    del without_label["organs"][0]["label"]
    with pytest.raises(ProfileError, match="label"):
        Profile.from_dict(without_label)


def test_profile_from_a_file(tmp_path):
    path = tmp_path / "small.json"
    path.write_text(json.dumps(small_profile()))
    assert load_profile(path) == load_profile(str(path))
    assert load_profile(path).resolve("Little-Brain").name == "Cerebellum"


@pytest.mark.parametrize("name", ["hn43", "regimes", "phantom", "../setup", "missing.json", ""])
def test_unknown_profiles_are_refused_with_the_known_ones(name):
    with pytest.raises(ProfileError, match="hn42, hn_clinic, miccai2015, openkbp7"):
        load_profile(name)


@pytest.mark.parametrize("text", ["{", "", "[1, 2]", '"hn42"', "null"])
def test_broken_json_is_refused(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(ProfileError):
        load_profile(path)


def test_json_in_another_encoding_is_refused(tmp_path):
    path = tmp_path / "latin.json"
    path.write_bytes(json.dumps(small_profile(), ensure_ascii=False).replace("Lt", "Ö").encode("latin-1"))
    with pytest.raises(ProfileError):
        load_profile(path)


def test_in_one_tier_keeps_targets_and_moves_mid_level_organs_to_the_anchors():
    profile = load_profile("hn42").in_one_tier()
    before = load_profile("hn42")
    assert not profile.tier("mid_level")
    assert profile.tier("small_hard") == before.tier("small_hard")
    assert {organ.name for organ in profile.tier("anchor")} == {
        organ.name for organ in before.organs if organ.tier in ("anchor", "mid_level")
    }
    assert [organ.label for organ in profile.organs] == [organ.label for organ in before.organs]
    assert profile.resolve("parotid lt") == profile.by_name["Parotid_L"]
    assert before.by_name["Parotid_L"].tier == "mid_level"


def own_profile(*rows):
    """Organs of any names, each with its mirror partner or None."""
    organs = []
    for label, (name, mirror) in enumerate(rows, 1):
        organs.append(Organ(name=name, label=label, paper_name=name, tier="anchor", mirror=mirror))
    return Profile("own", tuple(organs))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Parotid_L", "Parotid_R"),
        ("Parotis_li", "Parotis_re"),
        ("Parotis links", "Parotis rechts"),
        ("LT PAROTID", "RT PAROTID"),
        ("ParotideGauche", "ParotideDroite"),
        ("Left something", "Right something"),
        ("Structure 7 (left)", "Structure 7"),  # one name says it for both
    ],
)
def test_sides_are_read_from_the_names_of_mirror_partners(left, right):
    profile = own_profile((left, right), (right, left), ("Brainstem", None))
    assert profile.sides == {left: "L", right: "R"}
    assert profile.unknown_sides(profile.by_name) == []


@pytest.mark.parametrize("name", available_profiles())
def test_shipped_profiles_say_every_side(name):
    profile = load_profile(name)
    assert profile.unknown_sides(profile.by_name) == []
    assert profile.sides == {organ.name: organ.side for organ in profile.organs if organ.side}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        pytest.param([("A", "B"), ("B", "A")], "A and B are mirror partners", id="no name says a side"),
        pytest.param([("P_L", "Q_L"), ("Q_L", "P_L")], "P_L and Q_L are mirror partners", id="both say the same"),
        pytest.param([("Parotis_li", None), ("Parotis re", None)], '"mirror": "Parotis re"', id="no partners"),
        pytest.param([("Parotid_L", None), ("Parotid_R", None)], '"mirror": "Parotid_R"', id="no partners, TG-263"),
    ],
)
def test_what_must_be_added_to_check_sides_is_said(rows, said):
    profile = own_profile(*rows)
    (fault,) = profile.unknown_sides(profile.by_name)
    assert profile.unknown_sides([]) == [], "organs that no dataset has need no side"
    assert said in fault and "add" in fault


def test_an_organ_of_one_side_alone_needs_no_partner():
    profile = own_profile(("Parotid_L", None), ("SpinalCord", None))
    assert profile.unknown_sides(profile.by_name) == [] and profile.sides == {"Parotid_L": "L"}


def test_the_clinics_profile_is_hn42_with_whole_organs_lips_and_lenses():
    clinic, paper = load_profile("hn_clinic"), load_profile("hn42")
    whole = {"Bone_Mandible", "Glnd_Thyroid"}
    halves = {f"{name}_{side}" for name in whole for side in "LR"}
    assert set(clinic.by_name) == (set(paper.by_name) - halves) | whole | {"Lips", "Lens_L", "Lens_R"}
    assert clinic.halves == paper.halves == {name: (f"{name}_L", f"{name}_R") for name in sorted(whole)}
    for name in set(clinic.by_name) & set(paper.by_name) - {"Eye_L", "Eye_R"}:
        ours, theirs = clinic.by_name[name], paper.by_name[name]
        assert (ours.tier, ours.mirror, ours.target, ours.precedence, ours.composite, ours.aliases) == (
            (theirs.tier, theirs.mirror, theirs.target, theirs.precedence, theirs.composite, theirs.aliases)
        )
    for side in "LR":
        lens, eye = clinic.by_name[f"Lens_{side}"], clinic.by_name[f"Eye_{side}"]
        assert lens.precedence > eye.precedence and set(eye.composite) == {eye.name, lens.name}


@pytest.mark.parametrize(
    ("profile", "name", "organs"),
    [
        ("hn42", "Mandible", ("Bone_Mandible_L", "Bone_Mandible_R")),
        ("hn42", "Schilddrüse", ("Glnd_Thyroid_L", "Glnd_Thyroid_R")),
        ("hn42", "LT PAROTID", ("Parotid_L",)),
        ("hn42", "Lips", ()),
        ("hn_clinic", "Mandible_L", ("Bone_Mandible",)),
        ("hn_clinic", "GlndThyroid", ("Glnd_Thyroid",)),
        ("miccai2015", "RT MANDIBLE", ("Bone_Mandible",)),
    ],
)
def test_organs_of_wholes_and_halves(profile, name, organs):
    assert load_profile(profile).organs_of(name) == organs


def test_aliases_are_added_to_their_organs():
    profile = load_profile("hn42").with_aliases({"Ohr vorn": "left parotid", "x1": "Parotid_L"})
    assert profile.by_name["Parotid_L"].aliases[-2:] == ("Ohr vorn", "x1")
    assert profile.resolve("OHR_vorn").name == "Parotid_L"
    with pytest.raises(ProfileError, match="no organ 'Parotidd_L'; did you mean Parotid_L?"):
        profile.with_aliases({"a": "Parotidd_L"})
    with pytest.raises(ProfileError, match="means both"):
        profile.with_aliases({"Brainstem": "Parotid_L"})


@pytest.mark.parametrize(
    ("halves", "said"),
    [
        ({"Stem": ["Stem_L"]}, "halves.Stem: expected a list of 2 items, got 1"),
        ({"Brainstem": ["OpticNrv_L", "OpticNrv_R"]}, "halves of"),
        ({"Nerve": ["OpticNrv_L", "Brainstem"]}, "halves of"),
    ],
)
def test_contradicting_halves_are_refused(halves, said):
    with pytest.raises(ProfileError, match=said):
        Profile.from_dict({**small_profile(), "halves": halves})
    good = Profile.from_dict({**small_profile(), "halves": {"OpticNrv": ["OpticNrv_L", "OpticNrv_R"]}})
    assert Profile.from_dict(good.to_dict()) == good and "halves" not in Profile.from_dict(small_profile()).to_dict()
