"""CT files of a folder, by case name."""

import os
from pathlib import Path

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.images.listing import FILE_ENDINGS, Listed, case_name, file_ending, list_images

NAMES = ["a", "b", "c_0001", "d"]
ODD = {
    "not UTF-8": (os.fsdecode(b"caf\xe9.nii.gz"), "expected a name in UTF-8, got 'caf\\xe9'"),
    "newline": ("a\nerror: b.nii.gz", "without control characters, got 'a\\nerror: b'"),
    "escape": ("a\x1b[2J.nii", "without control characters"),
    "pipe": ("pipe.nii.gz", "found a named pipe"),
    "folder": ("folder.nii.gz", "found a folder"),
    "device": ("device.mhd", "found a device"),
    "broken link": ("link.nrrd", "found a broken link"),
}


def test_cts_of_a_folder_by_case_name(tmp_path):
    with pytest.raises(InputError, match="found none; convert DICOM"):
        list_images(tmp_path)
    for name in (
        "b_0000.nii.gz",
        "a.nrrd",
        "c_0001.MHA",
        "d.mhd",
        "d.raw",
        ".hidden.nii.gz",
        ".nii.gz",
        "dataset.json",
    ):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    assert [(listed.case, listed.fault) for listed in list_images(tmp_path)] == [(name, "") for name in NAMES]
    assert list_images(tmp_path / "b_0000.nii.gz") == [Listed("b", tmp_path / "b_0000.nii.gz")]
    (tmp_path / "b.nii").touch()
    faults = {listed.case: listed.fault for listed in list_images(tmp_path) if listed.fault}
    assert list(faults) == ["b"] and "one CT a case, got b.nii and b_0000.nii.gz for case 'b'" in faults["b"]
    with pytest.raises(InputError, match="found nothing; check the path"):
        list_images(tmp_path / "nowhere")
    with pytest.raises(InputError, match="got 'dataset.json'"):
        list_images(tmp_path / "dataset.json")


@pytest.mark.parametrize("ending", FILE_ENDINGS)
def test_names_lose_their_ending_and_nnunets_suffix(ending):
    assert file_ending(Path(f"a{ending.upper()}")) == ending
    assert case_name(Path(f"case.1_0000{ending}")) == "case.1"
    assert case_name(Path(f"case_0001{ending}")) == "case_0001"
    assert case_name(Path(f"_0000{ending}")) == "_0000"


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_entry_is_named_and_the_others_are_listed(tmp_path, kind):
    name, said = ODD[kind]
    path = tmp_path / name
    make = {
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "device": lambda: path.symlink_to("/dev/zero"),
        "broken link": lambda: path.symlink_to(tmp_path / "nothing"),
    }
    make.get(kind, path.touch)()
    (tmp_path / "a.nii").touch()
    listed = list_images(tmp_path)
    assert len(listed) == 2 and [item.case for item in listed if not item.fault] == ["a"]
    (fault,) = [item.fault for item in listed if item.fault]
    assert said in fault and "\n" not in fault and fault.encode("utf-8")
    if kind != "folder":
        with pytest.raises(InputError) as caught:
            list_images(path)
        assert said in str(caught.value) or "a path in UTF-8" in str(caught.value)


@pytest.mark.parametrize("name", FILE_ENDINGS)
def test_a_file_of_no_name_but_its_ending_is_refused(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(InputError, match="expected a name before the ending"):
        list_images(tmp_path / name)
