"""One CT channel, a known ending, and cases on which all places agree."""

import json

import pytest

from soars_nnunet.errors import InputError
from soars_nnunet.stratification.dataset_checks import agreed_cases, require_ct_channel, require_known_ending

SOURCE = "Dataset007_Neck"


@pytest.mark.parametrize("name", ["CT", "ct", "CBCT", "CT_planning", "Computed Tomography", "HU"])
def test_a_ct_by_its_name_is_taken_without_a_word(name):
    said = []
    require_ct_channel(SOURCE, {"0": name}, said.append)
    assert said == []


@pytest.mark.parametrize("name", ["image", "0000", ""])
def test_a_name_that_does_not_tell_is_warned_of(name):
    said = []
    require_ct_channel(SOURCE, {"0": name}, said.append)
    assert said == [f"warning: {SOURCE}: channel '{name}' is taken for a CT"]


@pytest.mark.parametrize("names", [{}, {"0": "CT", "1": "CT"}])
def test_one_channel_is_needed(names):
    with pytest.raises(InputError, match="expected one channel"):
        require_ct_channel(SOURCE, names, lambda text: None)


@pytest.mark.parametrize("ending", ["", ".png", "nii.gz", ".nii.gz "])
def test_endings_that_are_no_images_are_refused(ending):
    with pytest.raises(InputError, match="as file_ending in dataset.json, got"):
        require_known_ending(SOURCE, ending)
    require_known_ending(SOURCE, ".NII.GZ")


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    for name in ("imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz", "labelsTr/b.nii.gz"):
        (tmp_path / SOURCE / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / SOURCE / name).touch()
    return tmp_path / SOURCE


def agreed(leave_out=False, say=lambda text: None, **keys):
    return agreed_cases(SOURCE, {"file_ending": ".nii.gz", **keys}, leave_out=leave_out, say=say)


def test_left_over_files_are_refused_with_counts_and_names(dataset):
    with pytest.raises(
        InputError, match=r"got 1 label map\(s\) without a CT \(b.nii.gz\), numTraining 2 for 1 .*--leave"
    ):
        agreed(numTraining=2)


def test_they_are_left_out_on_demand_and_remembered_and_may_still_be_spoken_of(dataset):
    said = []
    found = agreed(leave_out=True, say=said.append, numTraining=2)
    assert list(found.cases) == ["a"] and found.left_out == {"b.nii.gz": "label map(s) without a CT"}
    assert {"a", "b"} <= found.names and len(said) == 1 and "b.nii.gz" in said[0]


def test_a_wrong_number_alone_is_refused_too(dataset):
    (dataset / "labelsTr" / "b.nii.gz").unlink()
    with pytest.raises(InputError, match="numTraining 5 for 1 complete"):
        agreed(numTraining=5)
    assert agreed(numTraining=1).left_out == agreed().left_out == {}


def test_files_beside_a_list_are_told(dataset):
    listed = json.loads('{"a": {"images": ["imagesTr/a_0000.nii.gz"], "label": "labelsTr/a.nii.gz"}}')
    said = []
    assert list(agreed(dataset=listed, say=said.append).cases) == ["a"]
    assert said == [
        f"warning: {SOURCE}: 1 file(s) that dataset.json's 'dataset' does not list are not used: labelsTr/b.nii.gz"
    ]


def test_no_complete_case_is_refused_even_then(dataset):
    (dataset / "imagesTr" / "a_0000.nii.gz").unlink()
    with pytest.raises(InputError, match="got 2 label map"):
        agreed(leave_out=True)
