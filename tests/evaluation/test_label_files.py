import numpy as np
import pytest
from evaluation.cases import CUBE, SHAPE, SPACING, by_organ, labels_of, write_case, write_labels

from soars_nnunet.evaluation.evaluate import EvaluationOptions, evaluate_folders
from soars_nnunet.evaluation.label_files import CaseFiles, case_name, pair_files, read_label_list, read_pair
from soars_nnunet.profile import load_profile


@pytest.fixture(scope="module")
def profile():
    return load_profile("hn42")


def test_prediction_ignores_a_dataset_json_above_it(tmp_path, profile):
    write_labels(tmp_path, Larynx=1)
    write_labels(tmp_path / "ref", Brainstem=4)
    write_case(tmp_path / "pred", "a", CUBE.astype(np.uint8))
    write_case(tmp_path / "ref", "a", CUBE.astype(np.uint8) * 4)
    assert by_organ(evaluate_folders(tmp_path / "pred", tmp_path / "ref", profile).scores)["Brainstem"].dsc == 1.0


def test_explicit_label_lists_and_single_files(tmp_path, profile):
    prediction = write_case(tmp_path / "pred", "anything", CUBE.astype(np.uint8) * 2)
    reference = write_case(tmp_path / "ref", "a", CUBE.astype(np.uint8) * 3, ending=".nrrd")
    for name, value in (("p", 2), ("r", 3)):
        write_labels(tmp_path / name, Brainstem=value)
    options = EvaluationOptions(tmp_path / "p" / "dataset.json", tmp_path / "r" / "dataset.json")
    result = evaluate_folders(prediction, reference, profile, options)
    assert by_organ(result.scores)["Brainstem"].dsc == 1.0
    assert result.scores[0].case == "anything"


def test_one_prediction_file_against_a_folder(tmp_path, profile):
    volume = labels_of(profile, Brainstem=CUBE)
    path = write_case(tmp_path / "pred", "a", volume)
    for case in ("a", "b"):
        write_case(tmp_path / "ref", case, volume)
    assert {s.case for s in evaluate_folders(path, tmp_path / "ref", profile).scores} == {"a"}


def test_missing_predictions_are_named_or_allowed(tmp_path, profile):
    volume = labels_of(profile, Brainstem=CUBE)
    write_case(tmp_path / "pred", "a", volume)
    for case in ("a", "b", "c"):
        write_case(tmp_path / "ref", case, volume)
    with pytest.raises(ValueError, match="for b, c; predict them"):
        evaluate_folders(tmp_path / "pred", tmp_path / "ref", profile)
    result = evaluate_folders(tmp_path / "pred", tmp_path / "ref", profile, EvaluationOptions(allow_missing=True))
    assert result.references_without_prediction == ("b", "c")
    assert {score.case for score in result.scores} == {"a"}


@pytest.mark.parametrize(
    ("array", "spacing_mm", "origin", "word"),
    [
        (np.zeros((12, 16, 19), np.uint8), SPACING, (0, 0, 0), "size"),
        (np.zeros(SHAPE, np.uint8), (3.0, 1.25, 0.81), (0, 0, 0), "spacing"),
        (np.zeros(SHAPE, np.uint8), SPACING, (0, 0.1, 0), "origin"),
    ],
)
def test_grid_mismatch_says_both(tmp_path, profile, array, spacing_mm, origin, word):
    write_case(tmp_path / "pred", "a", array, spacing_mm, origin)
    write_case(tmp_path / "ref", "a", np.zeros(SHAPE, np.uint8))
    with pytest.raises(ValueError, match=rf"with {word} \(x, y, z\) \[.*\], got \[.*\]; resample"):
        evaluate_folders(tmp_path / "pred", tmp_path / "ref", profile)


def test_unusable_folders_and_files(tmp_path, profile):
    write_case(tmp_path / "pred", "a", np.zeros(SHAPE, np.uint8))
    references = tmp_path / "ref"
    with pytest.raises(ValueError, match="does not exist"):
        evaluate_folders(tmp_path / "pred", references, profile)
    references.mkdir()
    with pytest.raises(ValueError, match="reference: expected label files"):
        evaluate_folders(tmp_path / "pred", references, profile)
    write_case(references, "b", np.zeros(SHAPE, np.uint8))
    with pytest.raises(ValueError, match="of the same name"):
        evaluate_folders(tmp_path / "pred", references, profile)
    (references / "a.nii.gz").write_bytes(b"no image")
    (references / "b.nii.gz").unlink()
    with pytest.raises(ValueError, match="expected a readable image file") as caught:
        evaluate_folders(tmp_path / "pred", references, profile)
    assert "\n" not in str(caught.value)
    write_case(references, "a", np.full(SHAPE, 0.5, np.float32))
    with pytest.raises(ValueError, match="expected whole-number labels"):
        evaluate_folders(tmp_path / "pred", references, profile)
    (references / "dataset.json").write_text('{"labels": {"whole": [1, 2]}}')
    with pytest.raises(ValueError, match="reference labels: expected"):
        evaluate_folders(tmp_path / "pred", references, profile)


def test_names_of_cases(tmp_path):
    names = {name: case_name(tmp_path / name) for name in ("a.nii.gz", "a.b.nii", "c.mha", "d.nrrd", "e.json", "f.gz")}
    assert list(names.values()) == ["a", "a.b", "c", "d", None, None]


def test_two_files_of_one_case_are_refused(tmp_path):
    for ending in (".nii.gz", ".mha"):
        write_case(tmp_path / "pred", "a", CUBE.astype(np.uint8), ending=ending)
    with pytest.raises(ValueError, match="one file per case, got a.mha and a.nii.gz"):
        pair_files(tmp_path / "pred", tmp_path / "pred")


def test_pairs_come_by_name_with_what_has_no_partner(tmp_path):
    for folder, cases in (("pred", "bac"), ("ref", "abd")):
        for case in cases:
            write_case(tmp_path / folder, case, CUBE.astype(np.uint8))
    found = pair_files(tmp_path / "pred", tmp_path / "ref", allow_missing=True)
    assert [files.case for files in found.cases] == ["a", "b"]
    assert found.cases[0].reference == tmp_path / "ref" / "a.nii.gz"
    assert (found.without_reference, found.without_prediction) == (("c",), ("d",))


def test_no_label_list_is_none(tmp_path):
    write_labels(tmp_path, Larynx=1)
    (tmp_path / "pred").mkdir()
    assert read_label_list(tmp_path / "pred", None, "prediction", look_above=False) is None
    assert read_label_list(tmp_path / "pred", None, "prediction", look_above=True) == {"background": 0, "Larynx": 1}


def test_a_pair_is_read_as_small_integers_with_the_reference_geometry(tmp_path):
    prediction = write_case(tmp_path / "pred", "a", CUBE.astype(np.int32))
    reference = write_case(tmp_path / "ref", "a", CUBE.astype(np.float32) * 300)
    pair = read_pair(CaseFiles("a", prediction, reference))
    assert (pair.predicted.dtype, pair.reference.dtype) == (np.uint8, np.uint16)
    assert pair.header.GetSpacing() == pytest.approx(SPACING[::-1]) and pair.header.GetSize() == (1, 1, 1)
    np.testing.assert_array_equal(pair.predicted, CUBE)
