"""Whose profile scores a prediction, over what the label files of both sides say."""

import json

import numpy as np
import pytest
from evaluation.cases import CUBE, write_case

from soars_nnunet.cli import evaluate as evaluate_command
from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.choose_profile import choose_profile
from soars_nnunet.profile import load_profile

OPENKBP = {organ.name: organ.label for organ in load_profile("openkbp7").organs}


def side(folder, labels=None, profile=None, above=False):
    """Folder of one label file whose voxels are 1 and 2, with a label list of these kinds."""
    part = folder / "labelsTr" if above else folder
    write_case(part, "a", (CUBE + 2 * np.roll(CUBE, 5, 2) * (CUBE == 0)).astype(np.uint8))
    if labels is not None:
        stated = {} if profile is None else {"profile": profile}
        (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, **labels}, **stated}))
    return part


@pytest.mark.parametrize(
    ("prediction", "reference", "expected"),
    [
        pytest.param((OPENKBP, "openkbp7"), (None, None), "openkbp7", id="the prediction states it"),
        pytest.param((OPENKBP, "openkbp7"), ({"Brainstem": 5}, None), "openkbp7", id="beside a raw dataset"),
        pytest.param(({"Brainstem": 1}, None), (OPENKBP, "openkbp7"), "openkbp7", id="the reference states it"),
        pytest.param((OPENKBP, "openkbp7"), ({"Brainstem": 1}, "hn42"), "openkbp7", id="two cascades"),
        pytest.param(({"Pituitary": 1}, None), ({"Pituitary": 2}, None), "hn42", id="names that one profile knows"),
        pytest.param((None, None), (None, None), "hn42", id="nothing at all"),
    ],
)
def test_the_files_say_which_profile(tmp_path, prediction, reference, expected):
    chosen = choose_profile(None, side(tmp_path / "p", *prediction), side(tmp_path / "r", *reference))
    assert chosen.name == expected


@pytest.mark.parametrize(
    ("given", "prediction", "reference", "said"),
    [
        pytest.param(
            "hn42", (OPENKBP, "openkbp7"), (None, None), "expected openkbp7, .*got hn42", id="another profile"
        ),
        pytest.param(
            None, (OPENKBP, "mine"), (None, None), "got 'mine'; give its JSON file", id="one of the user's own"
        ),
        pytest.param(None, (OPENKBP, "../x.json"), (None, None), "got '../x.json'; give its", id="a path"),
        pytest.param(None, (None, None), ({"Brainstem": 5}, None), "prediction-labels", id="prediction without names"),
        pytest.param(None, ({"Brainstem": 5}, None), (None, None), "reference-labels", id="reference without names"),
        pytest.param(None, ({"x": 1}, None), ({"y": 1}, None), "got x of the prediction and y of", id="unknown names"),
        pytest.param(None, ({"Parotid_L": 1}, None), ({"Parotid_R": 1}, None), "Parotid_L of", id="nothing common"),
        pytest.param(None, ({}, None), ({"Brainstem": 1}, None), "no profile knows", id="an empty list"),
    ],
)
def test_what_does_not_agree_is_refused(tmp_path, capsys, given, prediction, reference, said):
    paths = side(tmp_path / "p", *prediction), side(tmp_path / "r", *reference)
    with pytest.raises(InputError, match=said):
        choose_profile(given, *paths)
    options = ["--profile", given] if given else []
    assert evaluate_command.main(["-p", str(paths[0]), "-r", str(paths[1]), "-np", "1", *options]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    assert sorted(path.suffix for path in paths[0].iterdir()) in ([".gz"], [".gz", ".json"]), "nothing was written"


def test_a_named_label_file_outweighs_what_the_prediction_states(tmp_path):
    prediction, reference = side(tmp_path / "p", OPENKBP, "openkbp7"), side(tmp_path / "r", {"Brainstem": 1})
    file = tmp_path / "p" / "dataset.json"
    assert choose_profile("hn42", prediction, reference, prediction_labels=file).name == "hn42"
    assert choose_profile("openkbp7", prediction, reference).name == "openkbp7"


def test_observers_of_two_imported_sets_are_matched_by_name(tmp_path):
    """Their label numbers are the other way round, and their dataset.json lies above."""
    paths = []
    for name, labels in (("p", {"Brainstem": 1, "Parotid_L": 2}), ("r", {"Parotid_L": 1, "Brainstem": 2})):
        paths.append(side(tmp_path / name, labels, above=True))
    swapped = (2 * CUBE + np.roll(CUBE, 5, 2) * (CUBE == 0)).astype(np.uint8)
    write_case(paths[1], "a", swapped)
    out = tmp_path / "out"
    assert evaluate_command.main(["-p", str(paths[0]), "-r", str(paths[1]), "-np", "1", "-o", str(out)]) == 0
    scores = json.loads((out / "evaluation.json").read_text())["scores"]
    found = {score["organ"]: score["dsc"] for score in scores if score["dsc"] is not None}
    assert found == {"Brainstem": 1.0, "Parotid_L": 1.0}
