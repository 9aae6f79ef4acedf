"""A raw dataset's ``dataset.json`` of the wrong shape, or whose names lead elsewhere, is refused in one line."""

import pytest

from soars_nnunet.cascade.dataset_json import check_branch_dataset, check_dataset_json
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.schemas.node import checked

ROW = {"images": ["$nnUNet_raw/a.nii.gz"], "label": "b.nii.gz"}

GOOD = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "Brainstem": 1, "region": [1, 2]},
    "file_ending": ".nii.gz",
    "dataset": {"HN_001": ROW, "Ä 2": ROW},
    "description": "anything\nelse",
}


@pytest.mark.parametrize("changes", [{}, {"channel_names": {"0": "noNorm"}}, {"numTraining": "4"}, {"dataset": {}}])
def test_usual_files_are_taken(changes):
    check_dataset_json({**GOOD, **changes}, "x")
    check_dataset_json({key: value for key, value in GOOD.items() if key != "dataset"}, "x")


ODD = {
    "stratify dataset []": ([], "expected an object"),
    "stratify no labels": ({"channel_names": {}, "file_ending": ".mha"}, "expected the keys labels"),
    "stratify labels list": ({**GOOD, "labels": []}, "labels: expected an object"),
    "stratify labels bool": ({**GOOD, "labels": {"a": True}}, "labels.a: expected a whole number from 0"),
    "stratify labels negative": ({**GOOD, "labels": {"a": -1}}, "labels.a: expected a whole number from 0"),
    "stratify labels text": ({**GOOD, "labels": {"0": "background"}}, "labels.0: expected a whole number"),
    "stratify channel MR": (
        {**GOOD, "channel_names": {"0": "MRI"}},
        "channel_names.0: expected the name of a CT channel",
    ),
    "stratify channel null": ({**GOOD, "channel_names": {"0": None}}, "channel_names.0: expected a text"),
    "stratify file_ending empty": ({**GOOD, "file_ending": ""}, "file_ending: expected a text like"),
    "stratify file_ending path": ({**GOOD, "file_ending": "/../x.nii"}, "file_ending: expected a text like"),
    "stratify dataset null": ({**GOOD, "dataset": None}, "dataset: expected an object"),
    "stratify dataset list": ({**GOOD, "dataset": ["a"]}, "dataset: expected an object"),
    "stratify dataset no images": ({**GOOD, "dataset": {"a": {"label": "b"}}}, "dataset.a: expected the keys images"),
    "stratify images text": ({**GOOD, "dataset": {"a": {**ROW, "images": "a"}}}, "images: expected a list"),
    "stratify dataset label null": ({**GOOD, "dataset": {"a": {**ROW, "label": None}}}, "label: expected a text"),
    "stratify path with NUL": (
        {**GOOD, "dataset": {"a": {**ROW, "label": "a\0b"}}},
        "label: expected the path of a file",
    ),
    "stratify dataset case absolute": ({**GOOD, "dataset": {"/tmp/x": ROW}}, "'/tmp/x', which is a path"),
    "stratify dataset case above": ({**GOOD, "dataset": {"../../x": ROW}}, "'../../x', which is a path"),
    "stratify dataset case empty name": ({**GOOD, "dataset": {"": ROW}}, "'', which is empty"),
    "stratify dataset case .": ({**GOOD, "dataset": {".": ROW}}, "'.', which is a path"),
    "stratify dataset case evaluation": ({**GOOD, "dataset": {"evaluation": ROW}}, "that of a file of results"),
    "stratify dataset case _0000": ({**GOOD, "dataset": {"_0000": ROW}}, "that of a channel alone"),
    "stratify dataset case escape": ({**GOOD, "dataset": {"a\x1b[31m\n": ROW}}, "signs that cannot be shown"),
    "stratify dataset case NUL": ({**GOOD, "dataset": {"a\0": ROW}}, "which is a path"),
    "stratify dataset case long": ({**GOOD, "dataset": {"a" * 300: ROW}}, "longer than 200 bytes"),
}


@pytest.mark.parametrize("odd", ODD)
def test_odd_files_are_refused_in_one_line(odd):
    data, match = ODD[odd]
    with pytest.raises(InputError, match=match) as refused:
        check_dataset_json(data, "Dataset007_Neck/dataset.json")
    assert str(refused.value).isprintable() and "; correct the file" in str(refused.value)


def test_all_faults_are_listed():
    data = {**GOOD, "file_ending": 3, "labels": {"a": "1"}, "dataset": {"../x": ROW, "b": {}}}
    with pytest.raises(InputError, match="4 faults: labels.a: .*file_ending: .*dataset.../x: .*dataset.b: "):
        check_dataset_json(data, "x")


def test_a_branchs_labels_are_those_of_the_cascade():
    labels = {"background": 0, "Brainstem": 1}
    data = {**GOOD, "labels": labels, "soars": {"guidance": []}}
    checked(data, "x", lambda node: check_branch_dataset(node, labels))
    for odd, match in (
        (
            {"labels": {"background": 0, "Mandible": 1}},
            "labels: expected the labels background, Brainstem, got background, M",
        ),
        ({"labels": None}, "labels: expected an object"),
        ({"channel_names": {"1": "CT"}}, "channel_names: expected names of the channels 0, 1"),
        ({"soars": None}, "soars: expected an object"),
        ({"soars": {"guidance": "x"}}, "soars.guidance: expected a list"),
    ):
        with pytest.raises(MissingArtifactError, match=match):
            checked({**data, **odd}, "x", lambda node: check_branch_dataset(node, labels))
