"""Mask files by organ."""

from pathlib import Path

import pytest

from soars_nnunet.cascade.aliases import apply_aliases
from soars_nnunet.errors import InputError
from soars_nnunet.importing.case_files import CaseFiles
from soars_nnunet.importing.mask_names import name_masks
from soars_nnunet.importing.public_sets import load_set
from soars_nnunet.importing.structures import choose_structures
from soars_nnunet.profile import load_profile

HN42 = load_profile("hn42")


def named(*names, aliases=None, profile=HN42):
    case = CaseFiles("p1", None, None, masks={name: [Path(f"{name}.nii.gz")] for name in names})
    aliases = aliases or {}
    found = name_masks([case], apply_aliases(aliases, profile, names, "the folder"), aliases)
    masks = {name: [path.name.removesuffix(".nii.gz") for path in paths] for name, paths in case.masks.items()}
    return masks, [finding.text for finding in found]


@pytest.mark.parametrize(
    ("names", "masks", "read"),
    [
        (["parotid_left"], {"Parotid_L": ["parotid_left"]}, []),
        (["LT PAROTID"], {"Parotid_L": ["LT PAROTID"]}, ["LT PAROTID -> Parotid_L"]),
        (["LT PAROTID", "Parotid_L"], {"Parotid_L": ["Parotid_L"], "LT PAROTID": ["LT PAROTID"]}, []),
        (["Chiasma", "Chiasma opt"], {"Chiasma": ["Chiasma"], "Chiasma opt": ["Chiasma opt"]}, []),
        (["PTV_Parotid_L"], {"PTV_Parotid_L": ["PTV_Parotid_L"]}, []),
        (["Unterkiefer"], {"Bone_Mandible": ["Unterkiefer"]}, ["Unterkiefer -> Bone_Mandible"]),
        (["Parotid_L", "parotid_left"], {"Parotid_L": ["Parotid_L", "parotid_left"]}, []),
    ],
)
def test_files_are_called_by_their_organs(names, masks, read):
    assert named(*names) == (masks, read)


def test_aliases_go_before_reading():
    masks, _ = named("Ohr li", "Kiefer", aliases={"Ohr li": "Parotid_L", "Kiefer": "Bone_Mandible"})
    assert masks == {"Parotid_L": ["Ohr li"], "Bone_Mandible": ["Kiefer"]}
    with pytest.raises(InputError, match="the folder has no such name"):
        named("Ohr li", aliases={"Ohr re": "Parotid_L"})


def test_wholes_and_halves_are_written_in_the_form_in_which_they_are_drawn():
    rows = {row.name: row for row in choose_structures(load_set("masks"), "hn42", None)}
    assert {"Bone_Mandible", "Bone_Mandible_L", "Glnd_Thyroid"} <= set(rows)
    assert rows["Bone_Mandible"].precedence == HN42.by_name["Bone_Mandible_L"].precedence - 1
    rows = {row.name for row in choose_structures(load_set("masks"), "openkbp7", None)}
    assert {"Bone_Mandible", "Bone_Mandible_L", "Bone_Mandible_R"} <= rows
