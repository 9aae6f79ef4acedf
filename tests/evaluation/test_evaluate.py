"""Folders of label volumes, from files to scores; for the metrics see test_surface.py."""

import json
import os

import numpy as np
import pytest
from evaluation.cases import CUBE, OTHER, SHAPE, by_organ, labels_of, write_case, write_labels
from odd_nifti import write_nifti

from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.evaluate import EvaluationOptions, evaluate_folders
from soars_nnunet.profile import load_profile


@pytest.fixture(scope="module")
def profile():
    return load_profile("hn42")


def test_folders_with_dataset_json_beside_and_above(tmp_path, profile):
    predictions, references = tmp_path / "pred", tmp_path / "Dataset001" / "labelsTs"
    write_labels(predictions, Brainstem=5, Larynx=1)
    write_labels(references.parent, brain_stem=1, tumour=2)
    for case in ("b", "a"):
        write_case(predictions, case, CUBE.astype(np.uint8) * 5, ending=".mha")
        write_case(references, case, CUBE.astype(np.uint8) + 2 * OTHER.astype(np.uint8))
    write_case(predictions, "extra", CUBE.astype(np.uint8))
    seen = []
    result = evaluate_folders(predictions, references, profile, progress=seen.append)
    assert [line.rpartition(" ")[0].rpartition(" ")[0] for line in seen] == ["1/2 a", "2/2 b"]
    assert [(s.case, s.dsc) for s in result.scores if s.organ == "Brainstem"] == [("a", 1.0), ("b", 1.0)]
    assert {s.status for s in result.scores if s.organ != "Brainstem"} == {"not_in_reference"}
    assert result.unknown_in_reference == ("tumour",) and result.unknown_in_prediction == ()
    assert result.predictions_without_reference == ("extra",)
    assert "Eye_L" in result.not_predictable and "Larynx" not in result.not_predictable


def test_processes_give_what_one_gives(tmp_path, profile):
    for case, shift in (("a", 0), ("b", 1), ("c", 2)):
        write_case(tmp_path / "pred", case, labels_of(profile, Brainstem=np.roll(CUBE, shift, 0)))
        write_case(tmp_path / "ref", case, labels_of(profile, Brainstem=CUBE, Pineal=OTHER))
    one = evaluate_folders(tmp_path / "pred", tmp_path / "ref", profile)
    seen = []
    two = evaluate_folders(
        tmp_path / "pred", tmp_path / "ref", profile, EvaluationOptions(num_processes=2), progress=seen.append
    )
    assert two == one and [line.split()[1] for line in seen] == ["a", "b", "c"]
    (tmp_path / "pred" / "b.nii.gz").write_bytes(b"no image")
    rest = evaluate_folders(tmp_path / "pred", tmp_path / "ref", profile, EvaluationOptions(num_processes=2))
    assert rest.cases() == ["a", "c"] and "expected a readable image file" in rest.unusable[0]


def test_unannotated_file(tmp_path, profile):
    volume = labels_of(profile, Brainstem=CUBE, Larynx=OTHER)
    for folder in ("pred", "ref"):
        write_case(tmp_path / folder, "a", volume)
    file = tmp_path / "cases.json"
    file.write_text(json.dumps({"a": {"unannotated": ["brain stem"]}, "another": ["Larynx"]}))
    scores = by_organ(
        evaluate_folders(tmp_path / "pred", tmp_path / "ref", profile, EvaluationOptions(not_annotated=file)).scores
    )
    assert (scores["Brainstem"].status, scores["Larynx"].dsc) == ("not_in_reference", 1.0)


def test_no_process_is_refused(tmp_path, profile):
    path = write_case(tmp_path, "a", labels_of(profile, Brainstem=CUBE))
    with pytest.raises(ValueError, match="at least one process, got 0"):
        evaluate_folders(path, path, profile, EvaluationOptions(num_processes=0))


def odd_entry(path, kind):
    """Put something that cannot be read in a label file's place."""
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "broken link":
        path.symlink_to(path.with_name("nothing"))
    elif kind == "both codes 0":
        write_nifti(path, np.zeros(SHAPE, np.uint8), codes=(0, 0))
    elif kind == "zeros behind":
        write_nifti(path.with_name("b.nii"), np.zeros(SHAPE, np.uint8))
        os.truncate(path.with_name("b.nii"), 30 * 2**30)
        path.with_name("b.nii").rename(path)
    elif kind == "fractions":
        write_nifti(path, np.full(SHAPE, 0.5, np.float32))
    elif kind == "other grid":
        write_nifti(path, np.zeros(SHAPE, np.uint8))
    else:
        path.write_bytes({"empty": b"", "one byte": b"\x1f", "no image": b"hello" * 99}[kind])


KINDS = "pipe,folder,broken link,both codes 0,zeros behind,fractions,other grid,empty,one byte,no image".split(",")


@pytest.mark.parametrize("side", ["prediction", "reference"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_odd_file_is_named_and_the_others_are_scored(tmp_path, profile, kind, side):
    labels = labels_of(profile, Brainstem=CUBE)
    for folder in ("prediction", "reference"):
        for case in "ab":
            write_case(tmp_path / folder, case, labels)
    odd_entry(tmp_path / side / "b.nii.gz", kind)
    result = evaluate_folders(tmp_path / "prediction", tmp_path / "reference", profile)
    assert set(result.cases()) == {"a"}
    (fault,) = result.unusable
    assert "b.nii.gz" in fault or "b: " in fault
    assert "\n" not in fault and by_organ(result.scores)["Brainstem"].dsc == 1


@pytest.mark.parametrize("name", [os.fsdecode(b"caf\xe9"), "a\nerror: b", "a\x1b[2J"])
def test_a_case_name_that_no_table_can_carry_is_named_and_the_others_are_scored(tmp_path, profile, name):
    labels = labels_of(profile, Brainstem=CUBE)
    for folder in ("prediction", "reference"):
        path = write_case(tmp_path / folder, "a", labels)
        path.with_name(f"{name}.nii.gz").write_bytes(path.read_bytes())
    result = evaluate_folders(tmp_path / "prediction", tmp_path / "reference", profile)
    assert set(result.cases()) == {"a"}
    (fault,) = result.unusable
    assert "rename it" in fault and "\n" not in fault and "\x1b" not in fault and fault.encode("utf-8")


def test_where_no_case_can_be_scored_the_faults_are_the_error(tmp_path, profile):
    for folder in ("prediction", "reference"):
        write_case(tmp_path / folder, "a", labels_of(profile, Brainstem=CUBE))
    (tmp_path / "prediction" / "a.nii.gz").write_bytes(b"")
    with pytest.raises(InputError, match="a.nii.gz: expected a readable image file"):
        evaluate_folders(tmp_path / "prediction", tmp_path / "reference", profile)


def test_ignored_voxels_do_not_count(tmp_path, profile):
    """Half of a brain stem is ignored; the prediction there may be anything."""
    write_labels(tmp_path / "ref", Brainstem=1, Larynx=2, ignore=3)
    write_labels(tmp_path / "pred", Brainstem=1, Larynx=2)
    reference = CUBE.astype(np.uint8)
    upper = CUBE & (np.arange(CUBE.shape[0]) >= np.argwhere(CUBE)[:, 0].mean())[:, None, None]
    reference[upper] = 3
    predicted = np.where(upper, 2, reference)
    assert (predicted == 1).sum() == (reference == 1).sum() > 0 and (predicted == 2).any()
    write_case(tmp_path / "ref", "a", reference)
    write_case(tmp_path / "pred", "a", predicted)
    options = EvaluationOptions(empty_means_absent=True)
    result = evaluate_folders(tmp_path / "pred", tmp_path / "ref", profile, options)
    scores = by_organ(result.scores)
    assert scores["Brainstem"].dsc == 1.0 and scores["Larynx"].status == "absent"
    assert result.unknown_in_reference == ()
