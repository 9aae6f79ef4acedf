"""One label table a folder, and no file overwritten that no prediction wrote."""

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet.cascade.storage import file_hash, read_json, write_json
from soars_nnunet.errors import InputError
from soars_nnunet.prediction.output_folder import (
    LabelTable,
    claim,
    replaced_hash,
    require_folder_of_predictions,
    require_own,
)

WHOLE = {"background": 0, "Brainstem": 1, "Larynx": 3}

ORGANS = ("Brainstem", "Larynx", "Eye_L")


@pytest.fixture
def result(tmp_path):
    labels, report = tmp_path / "a.nii.gz", tmp_path / "a.json"
    write_labels(labels, 1)
    write_json(report, {"case": "a", "organs": {"Larynx": {}, "Eye_L": {}}, "sha256": {"output": file_hash(labels)}})
    return labels, report


def write_labels(path, value):
    sitk.WriteImage(sitk.GetImageFromArray(np.full((3, 3, 3), value, np.uint8)), str(path), True)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        pytest.param({"background": 0, "Brainstem": 1}, WHOLE, id="a subset takes no name away"),
        pytest.param(WHOLE, WHOLE, id="the same"),
        pytest.param(
            {"background": 0, "Esophagus": 2},
            {"background": 0, "Brainstem": 1, "Esophagus": 2, "Larynx": 3},
            id="other organs of the table",
        ),
    ],
)
def test_a_label_table_is_extended(tmp_path, labels, expected):
    claim(tmp_path, WHOLE, "openkbp7")
    claim(tmp_path, labels, "openkbp7")
    stored = read_json(tmp_path / "dataset.json")
    assert list(stored["labels"].items()) == list(expected.items()) and stored["profile"] == "openkbp7"


@pytest.mark.parametrize(
    ("labels", "profile", "said"),
    [
        pytest.param({"background": 0, "Esophagus": 3}, "openkbp7", "3 = Larynx, here Esophagus", id="a value's name"),
        pytest.param({"background": 0, "Larynx": 7}, "openkbp7", "Larynx = 3, here 7", id="a name's value"),
        pytest.param({"background": 0, "Brainstem": 1}, "hn42", "of profile openkbp7", id="a profile"),
    ],
)
def test_another_label_table_is_refused(tmp_path, labels, profile, said):
    claim(tmp_path, WHOLE, "openkbp7")
    before = (tmp_path / "dataset.json").read_bytes()
    with pytest.raises(InputError, match=f"{said}.*; use another -o"):
        claim(tmp_path, labels, profile)
    assert (tmp_path / "dataset.json").read_bytes() == before


RAW = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "Brainstem": 1}, "numTraining": 1}


@pytest.mark.parametrize(
    ("found", "part"),
    [
        pytest.param(RAW, "", id="a raw dataset"),
        pytest.param(RAW, "labelsTr", id="labelsTr"),
        pytest.param(RAW, "imagesTr", id="imagesTr"),
        pytest.param(RAW, "labelsTs", id="labelsTs"),
        pytest.param({**RAW, "profile": "hn42"}, "", id="a raw dataset with a profile"),
        pytest.param({"labels": {"background": 0}}, "", id="labels without a profile"),
        pytest.param({"labels": {"Brainstem": [1, 2]}, "profile": "hn42"}, "", id="regions"),
        pytest.param([], "", id="a list"),
        pytest.param(None, "", id="null"),
    ],
)
def test_the_folder_of_another_dataset_is_refused_and_left_as_it_is(tmp_path, found, part):
    write_json(tmp_path / "dataset.json", found)
    (tmp_path / part).mkdir(exist_ok=True)
    before = (tmp_path / "dataset.json").read_bytes()
    for step in (require_folder_of_predictions, lambda folder: claim(folder, WHOLE, "hn42")):
        with pytest.raises(InputError, match=r"dataset.*; name another"):
            step(tmp_path / part)
    assert (tmp_path / "dataset.json").read_bytes() == before


def test_new_folders_and_those_of_predictions_are_taken(tmp_path):
    assert require_folder_of_predictions(tmp_path / "new") is None
    claim(tmp_path, WHOLE, "openkbp7")
    assert require_folder_of_predictions(tmp_path) == LabelTable(WHOLE, "openkbp7")


def test_viewers_find_names_and_colours_of_the_whole_table(tmp_path):
    claim(tmp_path, {"background": 0, "Brainstem": 1}, "openkbp7")
    claim(tmp_path, {"background": 0, "Larynx": 3}, "openkbp7")
    for name in ("soars_labels.ctbl", "soars_labels_itksnap.txt"):
        text = (tmp_path / name).read_text()
        assert "Brainstem" in text and "Larynx" in text
        (tmp_path / name).unlink()
    claim(tmp_path, {"background": 0, "Larynx": 3}, "openkbp7")
    assert (tmp_path / "soars_labels.ctbl").is_file() and (tmp_path / "soars_labels_itksnap.txt").is_file()


def test_images_that_no_prediction_wrote_are_named_once(tmp_path, result):
    write_labels(tmp_path / "other.nii.gz", 2)
    lines = []
    for _ in range(2):
        claim(tmp_path, WHOLE, "openkbp7", lines.append)
    assert len(lines) == 1 and lines[0].startswith("warning: ") and "1 image(s)" in lines[0] and "other" in lines[0]


def test_own_results_are_written_again(result):
    require_own(*result, ORGANS, overwrite=False)
    result[0].unlink()
    require_own(*result, ORGANS, overwrite=False)
    result[1].unlink()
    require_own(*result, ORGANS, overwrite=False)


@pytest.mark.parametrize("name", ["labels", "report"])
def test_damaged_results_are_written_again(result, name):
    labels, report = result
    damaged = labels if name == "labels" else report
    damaged.write_bytes(damaged.read_bytes()[:20])
    require_own(labels, report, ORGANS, overwrite=False)


@pytest.mark.parametrize("overwrite", [False, True])
def test_labels_without_a_report_are_not_ours(result, overwrite):
    labels, report = result
    report.unlink()
    with pytest.raises(InputError, match=r"a\.nii\.gz: .*without a report a\.json; move it"):
        require_own(labels, report, ORGANS, overwrite=overwrite)


def test_edited_labels_are_lost_only_when_told_to(result):
    labels, report = result
    write_labels(labels, 2)
    with pytest.raises(InputError, match="as if they were edited; move them"):
        require_own(labels, report, ORGANS, overwrite=False)
    require_own(labels, report, ORGANS, overwrite=True)


def test_organs_that_are_not_segmented_again_are_lost_only_when_told_to(result):
    for organs in (["Eye_L"], []):
        with pytest.raises(InputError, match=r"a\.nii\.gz: has [12] organ\(s\) .*such as (Larynx|Eye_L); name another"):
            require_own(*result, organs, overwrite=False)
        require_own(*result, organs, overwrite=True)
    require_own(*result, ["Larynx", "Eye_L"], overwrite=False)


@pytest.mark.parametrize("content", [{}, [], {"sha256": 1}, {"patient": "notes"}, "text"])
def test_a_foreign_json_in_the_place_of_the_report_is_kept(result, content):
    labels, report = result
    write_json(report, content)
    with pytest.raises(InputError, match=r"a\.json: expected no file there, or a report"):
        require_own(labels, report, ORGANS, overwrite=True)
    labels.unlink()
    with pytest.raises(InputError, match=r"a\.json: expected no file there, or a report"):
        require_own(labels, report, ORGANS, overwrite=True)


def test_an_interruption_between_report_and_labels_leaves_them_ours(result):
    labels, report = result
    write_json(report, {"case": "a", **replaced_hash(labels), "sha256": {"output": "of the new labels"}})
    require_own(labels, report, ORGANS, overwrite=False)
    labels.unlink()
    assert replaced_hash(labels) == {}
