"""Which cases of a cross-validation count for the weights of a bundle."""

from dataclasses import replace

import pytest

from soars_nnunet.bundles.out_of_fold import read_out_of_fold, tolerances_mm
from soars_nnunet.cascade.case_names import name_hashes
from soars_nnunet.cascade.manifest import Manifest, ManifestBranch
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.evaluation_file import write_evaluation
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.profile import load_profile

HASHES = {"anchor": ["w0", "w1"]}
FOLDS = {"anchor": [0, 1]}


@pytest.fixture
def cascade():
    """Fold 0 trains on b and is validated on a, fold 1 the other way round."""
    patients = (tuple(name_hashes(["b"])), tuple(name_hashes(["a"])))
    branch = ManifestBranch(model="m", guidance=(), classes=("Larynx",), training_patients=patients)
    return Manifest("Dataset007_X", "P", load_profile("hn42"), None, {"anchor": branch}, {}, {})


def write(folder, predicted_by, stem="evaluation"):
    """An evaluation of cases, and the report of each: which weights predicted it."""
    scores = []
    for case, weights in predicted_by.items():
        scores.append(OrganScore(case, "Larynx", "mid_level", "scored", 0.5, 1.0, 1.0, 1.0, 1.0))
        write_json(folder / "cross_validation" / f"{case}.json", {"sha256": {"models": {"anchor": weights}}})
    write_evaluation(Evaluation(tuple(scores)), folder / "cross_validation", stem)


def read(folder, cascade, hashes=HASHES, folds=FOLDS):
    return read_out_of_fold(folder / "manifest.json", cascade, folds, hashes)


def test_without_a_cross_validation_there_is_none(tmp_path, cascade):
    found = read(tmp_path, cascade)
    assert (found.evaluation, found.reason) == (None, "soars-cross-validate was not run")


def test_cases_of_the_bundles_weights_count(tmp_path, cascade):
    write(tmp_path, {"a": ["w0"], "b": ["w1"]})
    found = read(tmp_path, cascade).evaluation
    assert found.evaluation.cases() == ["a", "b"]
    assert found.tolerances_mm == tolerances_mm(cascade.profile) and found.tolerances_mm["Larynx"] == 2.0
    assert not any("left out" in note for note in found.notes)


@pytest.mark.parametrize(
    "weights",
    [["old"], ["w0", "old"], [], ["w1"]],
    ids=["other weights", "some other weights", "no weights", "trained on the patient"],
)
def test_other_cases_are_left_out_and_counted(tmp_path, cascade, weights):
    write(tmp_path, {"a": weights, "b": ["w1"]})
    found = read(tmp_path, cascade).evaluation
    assert found.evaluation.cases() == ["b"]
    assert found.notes[-1] == "1 cases are left out: other weights predicted them."


def test_a_fold_that_is_not_in_the_bundle_does_not_count(tmp_path, cascade):
    write(tmp_path, {"a": ["w0"], "b": ["w1"]})
    found = read(tmp_path, cascade, {"anchor": ["w1"]}, {"anchor": [1]}).evaluation
    assert found.evaluation.cases() == ["b"]


def test_without_any_case_the_reason_says_what_to_do(tmp_path, cascade):
    write(tmp_path, {"a": ["old"], "b": ["older"]})
    (tmp_path / "cross_validation" / "b.json").write_text("[]")
    found = read(tmp_path, cascade)
    assert found.evaluation is None and "other weights; rerun soars-cross-validate" in found.reason


def test_some_folds_are_better_than_none_and_all_better_than_some(tmp_path, cascade):
    write(tmp_path, {"a": ["w0"]}, "evaluation_folds_0")
    assert read(tmp_path, cascade).evaluation.evaluation.cases() == ["a"]
    write(tmp_path, {"a": ["w0"], "b": ["w1"]})
    assert read(tmp_path, cascade).evaluation.evaluation.cases() == ["a", "b"]


def test_patients_are_found_in_case_names(tmp_path, cascade):
    cascade = replace(cascade, patient_pattern="(.)_")
    write(tmp_path, {"a_1": ["w0"], "a_2": ["w0"], "b_1": ["w0"]})
    assert read(tmp_path, cascade).evaluation.evaluation.cases() == ["a_1", "a_2"]


def test_a_damaged_evaluation_is_refused(tmp_path, cascade):
    write_json(tmp_path / "cross_validation" / "evaluation.json", [])
    with pytest.raises(InputError, match=r"evaluation\.json"):
        read(tmp_path, cascade)
