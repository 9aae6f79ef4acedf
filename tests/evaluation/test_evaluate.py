"""Scores of a case, label names, pairing of files, summaries and files; for the metrics see test_surface.py."""

import csv
import json
import logging

import numpy as np
import pytest
import SimpleITK as sitk

from soars_nnunet import __version__
from soars_nnunet.evaluation.evaluate import Evaluation, evaluate_folders, format_table, write_evaluation
from soars_nnunet.evaluation.metrics import OrganScore, label_volume, resolve_labels, score_case
from soars_nnunet.evaluation.scores import read_evaluation
from soars_nnunet.evaluation.surface import compare_masks
from soars_nnunet.profile import load_profile

SPACING = (3.0, 1.25, 0.8)
SHAPE = (12, 16, 20)


@pytest.fixture(scope="module")
def profile():
    return load_profile("hn42")


def box(shape, start, stop):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(start, stop, strict=True))] = True
    return mask


def itk_image(array, spacing_mm=SPACING, origin=(0.0, 0.0, 0.0)):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing_mm[::-1])
    image.SetOrigin(origin)
    return image


def write_case(folder, case, array, spacing_mm=SPACING, origin=(0.0, 0.0, 0.0), ending=".nii.gz"):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case}{ending}"
    sitk.WriteImage(itk_image(array, spacing_mm, origin), str(path))
    return path


def write_labels(folder, **labels):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, **labels}}))


def labels_of(profile, **masks):
    array = np.zeros(SHAPE, np.uint8)
    for name, mask in masks.items():
        array[mask] = profile.by_name[name].label
    return array


def by_organ(scores):
    return {score.organ: score for score in scores}


CUBE = box(SHAPE, (3, 4, 5), (6, 9, 12))
OTHER = box(SHAPE, (7, 10, 13), (11, 15, 19))
SCORE = {"case": "a", "tier": "anchor", "reference_ml": 1.0, "predicted_ml": 1.0}


# one case


def test_cropping_does_not_change_the_numbers(profile):
    far = box(SHAPE, (0, 0, 0), (1, 1, 1))
    reference, prediction = labels_of(profile, Brainstem=CUBE), labels_of(profile, Brainstem=CUBE | far, Larynx=OTHER)
    score = by_organ(score_case("a", prediction, reference, SPACING, profile))["Brainstem"]
    whole = compare_masks(CUBE | far, CUBE, SPACING, 2.5)  # the brain stem's tolerance
    found = (score.dsc, score.hd_mm, score.hd95_mm, score.asd_mm, score.surface_dsc)
    assert found == (whole.dsc, whole.hd_mm, whole.hd95_mm, whole.asd_mm, whole.surface_dsc)
    assert score.volume_error == pytest.approx(1 / (3 * 5 * 7))
    assert score.reference_ml == pytest.approx(3 * 5 * 7 * 3.0 / 1000)
    assert (score.status, score.tier) == ("scored", "anchor")


def test_missed_and_not_in_reference(profile):
    reference, prediction = labels_of(profile, Brainstem=CUBE), labels_of(profile, Larynx=OTHER)
    scores = by_organ(score_case("a", prediction, reference, SPACING, profile))
    assert len(scores) == 42
    missed, absent = scores["Brainstem"], scores["Larynx"]
    assert (missed.status, missed.dsc, missed.hd_mm, missed.asd_mm) == ("missed", 0.0, None, None)
    assert (missed.surface_dsc, missed.hd95_mm, missed.volume_error) == (0.0, None, -1.0)
    assert (absent.surface_dsc, absent.hd95_mm, absent.volume_error) == (None, None, None)
    assert (absent.status, absent.dsc, absent.hd_mm, absent.reference_ml) == ("not_in_reference", None, None, 0.0)
    assert absent.predicted_ml > 0 and missed.predicted_ml == 0 and missed.reference_ml > 0


def test_empty_means_absent(profile):
    reference, prediction = labels_of(profile, Brainstem=CUBE), labels_of(profile, Brainstem=CUBE, Larynx=OTHER)
    labels = {name: profile.by_name[name].label for name in ("Brainstem", "Larynx", "Pineal", "Eye_L")}
    options = {"undrawn": ["Eye_L"], "empty_means_absent": True}
    scores = by_organ(score_case("a", prediction, reference, SPACING, profile, None, labels, **options))
    false, absent = scores["Larynx"], scores["Pineal"]
    assert (false.status, false.dsc, false.surface_dsc, false.hd_mm, false.volume_error) == (
        "false_positive",
        0.0,
        0.0,
        None,
        None,
    )
    assert false.predicted_ml > 0
    assert (absent.status, absent.dsc, absent.predicted_ml) == ("absent", None, 0.0)
    assert scores["Eye_L"].status == "not_in_reference"  # nobody drew it
    assert scores["Eye_R"].status == "not_in_reference"  # the reference could not hold it


def test_undrawn_organs_are_left_out_whatever_the_reference_holds(profile):
    volume = labels_of(profile, Brainstem=CUBE, Larynx=OTHER)
    scores = by_organ(score_case("a", volume, volume, SPACING, profile, undrawn=["Larynx"]))
    assert (scores["Larynx"].status, scores["Larynx"].dsc) == ("not_in_reference", None)
    assert scores["Larynx"].predicted_ml > 0 and scores["Brainstem"].dsc == 1.0


@pytest.mark.parametrize("empty", ["prediction", "reference", "both"])
def test_empty_volumes(profile, empty):
    full, nothing = labels_of(profile, Brainstem=CUBE), np.zeros(SHAPE, np.uint8)
    prediction = nothing if empty in ("prediction", "both") else full
    reference = nothing if empty in ("reference", "both") else full
    statuses = [score.status for score in score_case("a", prediction, reference, SPACING, profile)]
    assert statuses.count("missed") == (empty == "prediction")
    assert statuses.count("not_in_reference") == (41 if empty == "prediction" else 42)


def test_inner_ear_is_evaluated_with_the_cochlea(profile):
    inside = box(SHAPE, (4, 5, 6), (5, 7, 9))
    reference = labels_of(profile, Ear_Internal_L=CUBE)
    prediction = labels_of(profile, Ear_Internal_L=CUBE & ~inside, Cochlea_L=inside)
    scores = by_organ(score_case("a", prediction, reference, SPACING, profile))
    assert (scores["Ear_Internal_L"].dsc, scores["Ear_Internal_L"].hd_mm) == (1.0, 0.0)
    assert scores["Cochlea_L"].status == "not_in_reference"
    only_cochlea = labels_of(profile, Cochlea_L=inside)
    scores = by_organ(score_case("a", prediction, only_cochlea, SPACING, profile))
    assert scores["Ear_Internal_L"].status == "not_in_reference"
    assert scores["Cochlea_L"].dsc == 1.0


def test_label_numbers_and_aliases_may_differ(profile):
    prediction, reference = np.zeros(SHAPE, np.float32), np.zeros(SHAPE, np.uint16)
    prediction[CUBE], reference[CUBE] = 7, 300
    labels_p, labels_r = {"background": 0, "brain stem": 7}, {"BRAIN_STEM": 300}
    score = by_organ(score_case("a", prediction, reference, SPACING, profile, labels_p, labels_r))["Brainstem"]
    assert score.dsc == 1.0


def test_values_without_a_name_are_ignored_with_a_warning(profile, caplog):
    volume = labels_of(profile, Brainstem=CUBE)
    volume[OTHER] = 99
    with caplog.at_level(logging.WARNING):
        score_case("a", volume, labels_of(profile, Brainstem=CUBE), SPACING, profile)
    assert "case 'a', prediction: values without a name, ignored: 99" in caplog.text


def test_resolve_labels(profile):
    values, unknown = resolve_labels({"background": 0, "eye_Lt": 2, "tumour": 3}, profile)
    assert (values, unknown) == ({"Eye_L": 2}, ("tumour",))
    assert resolve_labels(None, profile)[0]["Brainstem"] == 1
    with pytest.raises(ValueError, match="'Eye_L' and 'LeftEye' for Eye_L"):
        resolve_labels({"Eye_L": 1, "LeftEye": 2}, profile)
    with pytest.raises(ValueError, match="'Eye_L' and 'Eye_R' for the value 1"):
        resolve_labels({"Eye_L": 1, "Eye_R": 1}, profile)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2)), "expected a 3D label volume"),
        (np.full((2, 2, 2), 0.5), "expected integer labels, got fractions"),
        (np.full((2, 2, 2), np.nan), "expected integer labels, got fractions or NaN"),
        (np.full((2, 2, 2), -1000), "expected labels from 0"),
        (np.zeros((2, 2, 2), complex), "got complex128"),
    ],
)
def test_label_volume_rejects(array, message):
    with pytest.raises(ValueError, match=message):
        label_volume(array, "x")


def test_score_case_rejects_shapes_and_spacing(profile):
    volume = np.zeros(SHAPE, np.uint8)
    with pytest.raises(ValueError, match="expected volumes of one shape"):
        score_case("a", volume[1:], volume, SPACING, profile)
    with pytest.raises(ValueError, match="expected a spacing"):
        score_case("a", volume, volume, (1.0, 0.0, 1.0), profile)


# folders


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
    lists = tmp_path / "p" / "dataset.json", tmp_path / "r" / "dataset.json"
    result = evaluate_folders(prediction, reference, profile, *lists)
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
    result = evaluate_folders(tmp_path / "pred", tmp_path / "ref", profile, allow_missing=True)
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


def test_processes_give_what_one_gives(tmp_path, profile):
    for case, shift in (("a", 0), ("b", 1), ("c", 2)):
        write_case(tmp_path / "pred", case, labels_of(profile, Brainstem=np.roll(CUBE, shift, 0)))
        write_case(tmp_path / "ref", case, labels_of(profile, Brainstem=CUBE, Pineal=OTHER))
    one = evaluate_folders(tmp_path / "pred", tmp_path / "ref", profile)
    seen = []
    two = evaluate_folders(tmp_path / "pred", tmp_path / "ref", profile, progress=seen.append, num_processes=2)
    assert two == one and [line.split()[1] for line in seen] == ["a", "b", "c"]
    (tmp_path / "pred" / "b.nii.gz").write_bytes(b"no image")
    with pytest.raises(ValueError, match="expected a readable image file"):
        evaluate_folders(tmp_path / "pred", tmp_path / "ref", profile, num_processes=2)


def test_unannotated_file(tmp_path, profile):
    volume = labels_of(profile, Brainstem=CUBE, Larynx=OTHER)
    for folder in ("pred", "ref"):
        write_case(tmp_path / folder, "a", volume)
    file = tmp_path / "cases.json"
    file.write_text(json.dumps({"a": {"unannotated": ["brain stem"]}, "another": ["Larynx"]}))
    scores = by_organ(evaluate_folders(tmp_path / "pred", tmp_path / "ref", profile, unannotated=file).scores)
    assert (scores["Brainstem"].status, scores["Larynx"].dsc) == ("not_in_reference", 1.0)


# summaries and output


@pytest.fixture
def evaluation():
    """Anchors A (two cases, one missed) and B (one case, one not in reference); C small & hard, always missed."""
    scores = [
        OrganScore(organ="A", status="scored", dsc=0.8, hd_mm=4.0, asd_mm=1.0, **SCORE),
        OrganScore(organ="B", status="scored", dsc=0.6, hd_mm=8.0, asd_mm=3.0, **SCORE),
        OrganScore(organ="C", status="missed", dsc=0.0, hd_mm=None, asd_mm=None, **{**SCORE, "tier": "small_hard"}),
        OrganScore(organ="A", status="missed", dsc=0.0, hd_mm=None, asd_mm=None, **{**SCORE, "case": "b"}),
        OrganScore(organ="B", status="not_in_reference", dsc=None, hd_mm=None, asd_mm=None, **{**SCORE, "case": "b"}),
    ]
    return Evaluation(tuple(scores), "hn42", "pred", "ref")


def test_organ_rows_leave_out_what_cannot_be_compared(evaluation):
    a, b, c = evaluation.per_organ()
    assert (a.dsc.n, a.dsc.mean, a.hd_mm.n, a.hd_mm.mean, a.missed) == (2, 0.4, 1, 4.0, 1)
    assert a.dsc.std == pytest.approx(0.8 / np.sqrt(2))
    assert (b.dsc.n, b.dsc.mean, b.dsc.std, b.not_in_reference) == (1, 0.6, None, 1)
    assert (c.dsc.mean, c.hd_mm.n, c.hd_mm.mean, c.missed) == (0.0, 0, None, 1)
    assert (a.extra, b.extra) == (0, 1)  # b is predicted in the case whose reference has none


def test_tier_means_are_means_of_organ_means(evaluation):
    anchor, small, everything = evaluation.per_tier()
    assert [row.name for row in (anchor, small, everything)] == ["anchor", "small_hard", "all"]
    assert (anchor.dsc.n, anchor.dsc.mean) == (2, pytest.approx((0.4 + 0.6) / 2))  # over scores it would be 0.467
    assert anchor.hd_mm.mean == pytest.approx(6.0)
    assert everything.dsc.mean == pytest.approx((0.4 + 0.6 + 0.0) / 3)
    assert (everything.hd_mm.n, everything.missed, everything.not_in_reference) == (2, 2, 1)


def test_csv_and_json_hold_the_same_scores(tmp_path, evaluation):
    table, document, *texts = write_evaluation(evaluation, tmp_path / "new" / "out", stem="test")
    assert sorted(p.name for p in table.parent.iterdir()) == ["test.csv", "test.json", "test.md", "test.tex"]
    assert [p.suffix for p in texts] == [".md", ".tex"]
    assert read_evaluation(document) == evaluation
    data = json.loads(document.read_text())
    assert tuple(OrganScore(**row) for row in data["scores"]) == evaluation.scores
    assert data["provenance"]["version"] == __version__
    assert [row["name"] for row in data["per_organ"]] == ["A", "B", "C"]
    assert data["per_tier"][-1]["dsc"]["mean"] == pytest.approx(1 / 3)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["organ"] for row in rows] == ["A", "B", "C", "A", "B"]
    assert (rows[0]["dsc"], rows[2]["hd_mm"], rows[4]["dsc"]) == ("0.8", "", "")


def test_write_says_which_folder_it_cannot_write(tmp_path, evaluation):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="expected a folder to write to"):
        write_evaluation(evaluation, tmp_path / "file")


def test_table_and_empty_evaluation(evaluation):
    lines = format_table(evaluation).splitlines()
    assert lines[0].split()[:3] == ["organ", "n", "DSC"]
    assert lines[2].split() == ["A", "2", "0.400", "±", "0.566", "4.00", "1.00", "-", "-", "-", "1", "0", "0"]
    assert lines[-1].startswith("all") and lines[4].split()[3] == "-"
    empty = Evaluation(())
    assert empty.per_organ() == [] and empty.per_tier() == [] and "DSC" in format_table(empty)
