from soars_nnunet.cli.profiles_reference import profiles_page
from soars_nnunet.profile import available_profiles, load_profile


def test_every_organ_of_every_profile_has_its_tier():
    names = available_profiles()
    rows = {}
    for line in profiles_page().split("## Organs")[1].split("## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        rows[cells[0]] = dict(zip(names, cells[1:], strict=False))
    for name in names:
        for organ in load_profile(name).organs:
            assert rows[organ.name][name] == organ.tier
    assert rows["Lips"]["hn42"] == ""
    assert "| `hn42` | both halves of Bone_Mandible, both halves of Glnd_Thyroid |  |" in profiles_page()
