"""Raw datasets by id and name, and the files of their cases."""

import pytest

from soars_nnunet.cascade.raw_cases import find_dataset, training_cases
from soars_nnunet.errors import InputError, MissingArtifactError


def test_find_dataset_by_id_and_name(folders):
    for name in ("Dataset007_Neck", "Dataset070_Other", "Dataset700_Third"):
        (folders / "nnUNet_raw" / name).mkdir()
    (folders / "nnUNet_raw" / "Dataset008_file").touch()
    assert [find_dataset(wish) for wish in (7, "7", "007", "Dataset007_Neck")] == ["Dataset007_Neck"] * 4
    assert find_dataset(700) == "Dataset700_Third"
    for wish in (8, 9, "Dataset007", "Neck", "", "../nnUNet_raw"):
        with pytest.raises(MissingArtifactError, match="Dataset007_Neck, Dataset070_Other"):
            find_dataset(wish)


def test_find_dataset_refuses_an_ambiguous_id(folders):
    for name in ("Dataset007_Neck", "Dataset007_Again"):
        (folders / "nnUNet_raw" / name).mkdir()
    with pytest.raises(MissingArtifactError, match="Dataset007_Again"):
        find_dataset(7)
    assert find_dataset("Dataset007_Neck") == "Dataset007_Neck"


def test_find_dataset_says_what_is_not_set_or_empty(folders, monkeypatch):
    with pytest.raises(MissingArtifactError, match="no datasets"):
        find_dataset(7)
    for broken in (lambda: monkeypatch.setenv("nnUNet_raw", ""), lambda: monkeypatch.delenv("nnUNet_raw")):
        broken()
        with pytest.raises(MissingArtifactError, match="nnUNet_raw is not set"):
            find_dataset(7)


def listed(folder, *cases):
    """dataset.json of a dataset whose cases have empty files."""
    entries = {}
    for case in cases:
        entries[case] = {"images": [f"imagesTr/{case}_0000.nii.gz"], "label": f"labelsTr/{case}.nii.gz"}
        for name in (*entries[case]["images"], entries[case]["label"]):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    return {"file_ending": ".nii.gz", "dataset": entries}


def test_every_case_has_its_ct_and_its_label_map(folders):
    folder = folders / "nnUNet_raw" / "Dataset007_Neck"
    cases = training_cases(folder.name, listed(folder, "a", "b"))
    assert sorted(cases) == ["a", "b"]
    assert cases["a"].ct == folder / "imagesTr" / "a_0000.nii.gz" and cases["a"].labels == folder / "labelsTr/a.nii.gz"


def test_all_missing_files_are_named_at_once(folders):
    folder = folders / "nnUNet_raw" / "Dataset007_Neck"
    dataset_json = listed(folder, "a", "b")
    (folder / "imagesTr" / "a_0000.nii.gz").unlink()
    (folder / "labelsTr" / "b.nii.gz").unlink()
    with pytest.raises(InputError, match=r"2 missing file.s. ..*a_0000\.nii\.gz, .*b\.nii\.gz"):
        training_cases(folder.name, dataset_json)


def test_datasets_without_cases_or_without_folders_are_refused(folders):
    with pytest.raises(InputError, match="got no cases"):
        training_cases("Dataset007_Neck", {"file_ending": ".nii.gz", "dataset": {}})
    with pytest.raises(InputError, match="expected imagesTr/ and labelsTr/"):
        training_cases("Dataset007_Neck", {"file_ending": ".nii.gz"})
