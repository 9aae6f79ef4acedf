"""CT files of a folder, by case name."""

from pathlib import Path

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.images.listing import FILE_ENDINGS, case_name, file_ending, list_cts


def test_cts_of_a_folder_by_case_name(tmp_path):
    with pytest.raises(InputError, match="found none; convert DICOM"):
        list_cts(tmp_path)
    for name in ("b_0000.nii.gz", "a.nrrd", "c_0001.MHA", "d.mhd", "d.raw", ".hidden.nii.gz", "dataset.json"):
        (tmp_path / name).touch()
    (tmp_path / "folder.nii.gz").mkdir()
    assert [name for name, _ in list_cts(tmp_path)] == ["a", "b", "c_0001", "d"]
    assert list_cts(tmp_path / "b_0000.nii.gz") == [("b", tmp_path / "b_0000.nii.gz")]
    (tmp_path / "b.nii").touch()
    with pytest.raises(InputError, match=r"one CT a case, got b.nii and b_0000.nii.gz for case 'b'"):
        list_cts(tmp_path)
    with pytest.raises(InputError, match="found nothing; check the path"):
        list_cts(tmp_path / "nowhere")
    with pytest.raises(InputError, match="got 'dataset.json'"):
        list_cts(tmp_path / "dataset.json")


@pytest.mark.parametrize("ending", FILE_ENDINGS)
def test_names_lose_their_ending_and_nnunets_suffix(ending):
    assert file_ending(Path(f"a{ending.upper()}")) == ending
    assert case_name(Path(f"case.1_0000{ending}")) == "case.1"
    assert case_name(Path(f"case_0001{ending}")) == "case_0001"
    assert case_name(Path(f"_0000{ending}")) == "_0000"
