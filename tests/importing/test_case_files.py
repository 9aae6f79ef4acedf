"""Files of a folder by case and role, told by their paths alone."""

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.importing.case_files import CaseFiles, find_cases
from soars_nnunet.importing.public_sets import load_set


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_cases_are_sorted_and_have_their_files_numbers_and_groups(tmp_path):
    touch(
        tmp_path,
        "part4/0522c0788/img.nrrd",
        "part1/0522c0002/IMG.nrrd",  # the file system may not tell case
        "part1/0522c0002/structures/Parotid_L.nrrd",
        "part1/0522c0002/structures/Mandible.nrrd",
        "part1/0522c0002/0522c0002.fcsv",
        "part1/0522c0002/plan.bin",
        "other/0522c0900/img.nrrd",
    )
    cases, foreign = find_cases(load_set("pddca"), tmp_path)
    assert [(case.name, case.number, case.group) for case in cases] == [
        ("0522c0002", 2, "train"),
        ("0522c0788", 788, "test_onsite"),
        ("0522c0900", 900, None),
    ]
    first = cases[0]
    structures = tmp_path / "part1/0522c0002/structures"
    assert first.masks == {"Mandible": [structures / "Mandible.nrrd"], "Parotid_L": [structures / "Parotid_L.nrrd"]}
    assert first.paths() == sorted([tmp_path / "part1/0522c0002/IMG.nrrd", *structures.iterdir()])
    assert foreign == [tmp_path / "part1/0522c0002/plan.bin"]


@pytest.mark.parametrize("below", ["", "deep/er"])
def test_any_folder_above_or_below_the_published_one_will_do(tmp_path, below):
    root = touch(tmp_path, "deep/er/nrrds/test/oncologist/TCGA-A-1/CT_IMAGE.nrrd")
    cases, _ = find_cases(load_set("deepmind"), root / below)
    assert [(case.name, case.group, len(case.ct)) for case in cases] == [("TCGA-A-1", "test", 1)]


def test_hidden_files_and_folders_are_passed_over(tmp_path):
    touch(tmp_path, "a/image.nii.gz", "a/._image.nii.gz", ".old/a/image.nii.gz", "__MACOSX/a/image.nii.gz")
    ((case,), foreign) = find_cases(load_set("masks"), tmp_path)
    assert case.ct == [tmp_path / "a/image.nii.gz"] and foreign == []


def test_a_case_in_two_places_has_both_files(tmp_path):
    touch(tmp_path, "one/a/image.nii.gz", "two/a/image.nii.gz")
    ((case,), _) = find_cases(load_set("masks"), tmp_path)
    assert len(case.ct) == 2


def test_a_folder_without_a_case_is_refused_with_what_was_found(tmp_path):
    with pytest.raises(InputError, match="expected the folder of pddca, found none"):
        find_cases(load_set("pddca"), tmp_path / "nowhere")
    with pytest.raises(InputError, match="found no files; see the patterns in plans/import_pddca.json"):
        find_cases(load_set("pddca"), tmp_path)
    touch(tmp_path, *(f"{letter}.bin" for letter in "gfedcba"))
    with pytest.raises(InputError, match="found a.bin, b.bin, c.bin, d.bin, e.bin; see"):
        find_cases(load_set("pddca"), tmp_path)


def test_paths_of_all_roles_once(tmp_path):
    a, b, c = (tmp_path / name for name in "abc")
    case = CaseFiles("x", None, None, ct=[b], labels=[a], spacing=[c], masks={"one": [a], "two": [c]})
    assert case.paths() == [a, b, c]
