"""Types, ranges and names in a profile; ``test_profile.py`` has what its organs say of each other."""

import json

import pytest

from soars_nnunet.profile import Profile, ProfileError, load_profile


@pytest.fixture
def data():
    return json.loads(json.dumps(load_profile("hn42").to_dict()))


def test_shipped_profiles_are_taken(data):
    assert Profile.from_dict(data) == load_profile("hn42")


ODD = {
    "name number": (("name", 5), "name: expected a text"),
    "name traversal": (
        ("name", "../../x"),
        "name: expected a name that a file can have, got .*is a path",
    ),
    "name with an escape": (("name", "a\x1b[31m"), "has signs that cannot be shown"),
    "organs null": (("organs", None), "organs: expected a list"),
    "organs empty": (("organs", []), "organs: expected a list of 1 to 255 items"),
    "sources list": (("tolerance_sources", []), "tolerance_sources: expected an object"),
    "organ null": (("organs", 0, None), "organs.0: expected an object"),
    "organ name slash": (("organs", 0, "name", "Brain/stem"), "organs.0.name: .*which is a path"),
    "organ name background": (("organs", 0, "name", "Background"), "which nnU-Net uses itself"),
    "label bool": (("organs", 0, "label", True), "organs.0.label: expected a whole number from 1 to 255, got True"),
    "label text": (("organs", 0, "label", "1"), "label: expected a whole number"),
    "label 256": (("organs", 0, "label", 256), "label: expected a whole number from 1 to 255, got 256"),
    "precedence str": (("organs", 0, "precedence", "high"), "precedence: expected a number"),
    "precedence NaN": (
        ("organs", 0, "precedence", float("nan")),
        "precedence: expected a number .* got nan",
    ),
    "target list": (("organs", 0, "target", ["a"]), "target: expected a text"),
    "target of a crop": (("organs", 0, "target", "a__b"), "target: expected a target's name without __"),
    "target slash": (("organs", 0, "target", "a/b"), "target: .*which is a path"),
    "mirror list": (("organs", 0, "mirror", []), "mirror: expected a text"),
    "aliases text": (("organs", 0, "aliases", "abc"), "aliases: expected a list"),
    "aliases numbers": (("organs", 0, "aliases", [1]), "aliases.0: expected a text"),
    "composite null": (("organs", 0, "composite", None), "composite: expected a list"),
    "unknown key": (("organs", 0, "colour", "red"), "organs.0: .*got also colour"),
    "no label": (("organs", 0, "label", ...), "organs.0: expected the keys label"),
}


def put(data, *path):
    *keys, last, value = path
    for key in keys:
        data = data[key]
    if value is ...:
        del data[last]
    else:
        data[last] = value


@pytest.mark.parametrize("odd", ODD)
def test_odd_profiles_are_refused_in_one_line(data, odd):
    change, match = ODD[odd]
    put(data, *change)
    with pytest.raises(ProfileError, match=match) as refused:
        Profile.from_dict(data)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize("data", [None, [], "x", 3, {}])
def test_other_json_is_refused(data):
    with pytest.raises(ProfileError, match="profile: expected"):
        Profile.from_dict(data)


def test_256_organs_are_refused(data):
    organ = data["organs"][0]
    data["organs"] = [{**organ, "name": f"o{i}", "paper_name": f"o{i}", "label": i} for i in range(1, 257)]
    with pytest.raises(ProfileError, match="organs: expected a list of 1 to 255 items, got 256"):
        Profile.from_dict(data)


def test_all_faults_are_listed(data):
    put(data, "name", 5)
    put(data, "organs", 3, "label", "4")
    put(data, "organs", 7, "tier", None)
    with pytest.raises(ProfileError, match="profile: 3 faults: name: .*organs.3.label: .*organs.7.tier: .*; correct"):
        Profile.from_dict(data)
