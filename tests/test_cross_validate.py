"""The cross-validated cascade, and the post-processing that it decides."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from conftest import copy_tree

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.record import DEFAULT_PLANS, POSTPROCESSING
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cli import cross_validate as cross_validate_command
from soars_nnunet.cross_validate import PredictedCase, _score, cross_validate
from soars_nnunet.evaluation.surface import dice
from soars_nnunet.geometry.components import keep_largest_parts
from soars_nnunet.networks.model_folder import TrainedCascade
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.postprocess import format_effects
from soars_nnunet.prediction.predictor import CascadePredictor


def array(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_without_a_decision_nothing_is_applied(untrained_cascade):
    assert TrainedCascade(untrained_cascade.manifest(DEFAULT_PLANS)).postprocessing() is None
    assert CascadePredictor(untrained_cascade.manifest(DEFAULT_PLANS)).largest_part == []


def test_a_missing_fold_is_refused_with_its_command(cascade_copy, capsys):
    (cascade_copy.model("small_hard", DEFAULT_PLANS) / "fold_1" / "checkpoint_final.pth").unlink()
    assert cross_validate_command.main(["-d", "7", "--device", "cpu"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "nnUNetv2_train 74 3d_fullres 1 -tr SOARSSmallHardTrainer" in error
    assert not (cascade_copy.manifest(DEFAULT_PLANS).parent / "cross_validation").exists()


def test_predictions_of_another_stratification_are_not_rescored(cascade_copy, capsys):
    folder = cascade_copy.manifest(DEFAULT_PLANS).parent
    (folder / POSTPROCESSING).write_text("decided before")
    for organs, said in (
        (tuple(reversed(cascade_copy.profile.organs)), "expected the classes of profile hn42"),
        (swapped_labels(cascade_copy.profile.organs), "manifest.json: made from another stratification"),
    ):
        other = replace(cascade_copy, profile=replace(cascade_copy.profile, organs=organs))
        other.save()
        assert cross_validate_command.main(["-d", "7", "--device", "cpu"]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ") and error.count("\n") == 1 and said in error
    assert (folder / POSTPROCESSING).read_text() == "decided before"
    assert not (folder / "cross_validation").exists()


def swapped_labels(organs):
    """The same organs in the same order; the first two have each other's label in the final volume."""
    first, second, *others = organs
    return (replace(first, label=second.label), replace(second, label=first.label), *others)


@pytest.fixture(scope="module")
def validated(untrained_cascade, tmp_path_factory):
    """A cross-validated copy of the cascade, to which the environment points from now on; its results, its lines."""
    with pytest.MonkeyPatch.context() as patch:
        cascade = copy_tree(untrained_cascade, tmp_path_factory.mktemp("validated") / "copy", patch.setenv)
        lines = []
        yield cascade, *cross_validate(cascade, DEFAULT_PLANS, progress=lines.append), lines


def test_every_case_is_predicted_by_its_own_folds_models(validated):
    cascade, evaluation, _, folder, _ = validated
    images = raw_folder() / cascade.source / "imagesTr"
    for fold, split in enumerate(cascade.splits()):
        options = PredictionOptions(folds=[fold], postprocess=False)
        predictor = CascadePredictor(cascade.manifest(DEFAULT_PLANS), options)
        for case in split["val"]:
            labels, report = predictor.predict(sitk.ReadImage(str(images / f"{case}_0000.nii.gz")), case)
            np.testing.assert_array_equal(array(folder / f"{case}.nii.gz"), sitk.GetArrayFromImage(labels))
            written = read_json(folder / f"{case}.json")
            assert written["models"] == report["models"] and written["warnings"] == report["warnings"]
            assert not predictor._warnings(case)
        for case in split["train"]:
            assert "training patient" in predictor._warnings(case)[0]
    assert {score.case for score in evaluation.scores} == {case for split in cascade.splits() for case in split["val"]}


def test_effects_are_those_of_the_written_volumes(validated):
    cascade, evaluation, effects, folder, _ = validated
    references = raw_folder() / cascade.source / "labelsTr"
    cases = sorted({score.case for score in evaluation.scores})
    organs = cascade.profile.by_name
    assert len(effects) == 42 and any(organ.composite for organ in organs.values())
    images = [[sitk.ReadImage(str(root / f"{case}.nii.gz")) for root in (folder, references)] for case in cases]
    volumes = [(*map(sitk.GetArrayFromImage, pair), pair[0].GetSpacing()[::-1]) for pair in images]
    for effect in effects:
        organ, pairs = organs[effect.organ], []
        own = [organs[name].label for name in organ.composite or (organ.name,)]
        theirs = [cascade.labels[name] for name in organ.composite or (organ.name,)]
        for predicted, reference, spacing_mm in volumes:
            if (reference == cascade.labels[effect.organ]).any():
                cleaned, mask = keep_largest_parts(predicted, [organ.label], spacing_mm), np.isin(reference, theirs)
                pairs.append((dice(np.isin(predicted, own), mask), dice(np.isin(cleaned, own), mask)))
        assert effect.n == len(pairs)
        assert [effect.dsc, effect.dsc_largest] == pytest.approx(np.mean(pairs, axis=0).tolist())
        (row,) = [row for row in evaluation.per_organ() if row.name == effect.organ]
        assert row.dsc.mean == pytest.approx(effect.dsc)


def test_an_organ_that_is_truly_absent_may_not_be_predicted(validated, tmp_path):
    cascade = validated[0]
    case = cascade.splits()[0]["val"][0]
    reference = sitk.ReadImage(str(raw_folder() / cascade.source / "labelsTr" / f"{case}.nii.gz"))
    labels = sitk.GetArrayFromImage(reference)
    for name in ("Pituitary", "Pineal"):
        labels[labels == cascade.labels[name]] = 0
    predicted = np.zeros_like(labels)
    predicted[:2, :2, :2] = cascade.profile.by_name["Pituitary"].label
    paths = [tmp_path / "reference.nii.gz", tmp_path / f"{case}.nii.gz"]
    for path, array_ in zip(paths, (labels, predicted), strict=True):
        image = sitk.GetImageFromArray(array_)
        image.CopyInformation(reference)
        sitk.WriteImage(image, str(path))
    shutil.copyfile(validated[3] / f"{case}.json", tmp_path / f"{case}.json")

    def dsc(of):
        evaluation, _ = _score([PredictedCase(case, paths[1], paths[0])], of)
        return {score.organ: score.dsc for score in evaluation.scores}

    assert dsc(cascade)["Pituitary"] == 0 and dsc(cascade)["Pineal"] is None
    assert dsc(replace(cascade, not_annotated={case: ["Pituitary"]}))["Pituitary"] is None


def test_prediction_keeps_what_was_decided(validated, tmp_path):
    cascade, _, effects, _, _ = validated
    manifest = cascade.manifest(DEFAULT_PLANS)
    image = sitk.ReadImage(str(raw_folder() / cascade.source / "imagesTs" / "phantom_004_0000.nii.gz"))
    plain, cleaned = CascadePredictor(manifest, PredictionOptions(postprocess=False)), CascadePredictor(manifest)
    assert cleaned.largest_part == [effect.organ for effect in effects if effect.helps] != []
    raw, (final, report) = plain.predict(image)[0], cleaned.predict(image)
    chosen = [cascade.profile.by_name[name].label for name in cleaned.largest_part]
    expected = keep_largest_parts(sitk.GetArrayFromImage(raw), chosen, raw.GetSpacing()[::-1])
    np.testing.assert_array_equal(sitk.GetArrayFromImage(final), expected)
    assert (expected != sitk.GetArrayFromImage(raw)).any()
    assert report["largest_part"] == cleaned.largest_part and not cleaned.notes


def test_finished_cases_are_kept(validated):
    cascade, evaluation, effects, _, lines = validated
    again = []
    second = cross_validate(cascade, DEFAULT_PLANS, progress=again.append)
    assert sum("finished already, verified" in line for line in again) == 4
    assert not any("finished" in line for line in lines)
    assert second[0] == evaluation and second[1] == effects


def test_a_bundle_predicts_what_its_training_does_and_decides_nothing(validated, tiny_bundle, capsys):
    cascade, evaluation, _, folder, _ = validated
    before = read_json(folder.parent / POSTPROCESSING)
    assert cross_validate_command.main(["-d", "7", "--device", "cpu", "--model", str(tiny_bundle)]) == 0
    assert "(of a bundle, so nothing is decided)" in capsys.readouterr().out
    own = cascade.bundle_results("tiny") / "cross_validation"
    for case in cascade.cases:
        np.testing.assert_array_equal(array(own / f"{case}.nii.gz"), array(folder / f"{case}.nii.gz"))
        assert read_json(own / f"{case}.json")["bundle"]["name"] == "tiny"
    rows = read_json(own / "evaluation.json")["scores"]
    assert [(row["case"], row["organ"], row["dsc"]) for row in rows] == [
        (score.case, score.organ, score.dsc) for score in evaluation.scores
    ]
    assert not (own.parent / POSTPROCESSING).exists() and read_json(folder.parent / POSTPROCESSING) == before


def test_one_fold_is_scored_without_a_decision(validated, cascade_copy, capsys):
    _, evaluation, _, _, _ = validated
    manifest = cascade_copy.manifest(DEFAULT_PLANS)
    manifest.with_name(POSTPROCESSING).unlink()
    shutil.rmtree(manifest.parent / "cross_validation")
    for branch in ("mid_level", "small_hard"):
        (cascade_copy.model(branch, DEFAULT_PLANS) / "fold_1" / "checkpoint_final.pth").unlink()
    assert cross_validate_command.main(["-d", "7", "--device", "cpu", "--folds", "0", "0"]) == 0
    assert "decided" in capsys.readouterr().out
    assert not manifest.with_name(POSTPROCESSING).exists()
    rows = read_json(manifest.parent / "cross_validation" / "evaluation_folds_0.json")["scores"]
    of_fold = [score for score in evaluation.scores if score.case in cascade_copy.splits()[0]["val"]]
    assert [(row["case"], row["organ"], row["dsc"]) for row in rows] == [(s.case, s.organ, s.dsc) for s in of_fold]
    assert cross_validate_command.main(["-d", "7", "--device", "cpu", "--folds", "2"]) == 2
    assert "expected some of [0, 1], got [2]" in capsys.readouterr().err


def test_a_decision_for_other_weights_is_not_applied(validated, monkeypatch):
    cascade = validated[0]
    manifest = cascade.manifest(DEFAULT_PLANS)
    record = read_json(manifest.with_name(POSTPROCESSING))
    changed = {**record, "models": {**record["models"], "mid_level": record["models"]["mid_level"][:1]}}
    write_json(manifest.with_name(POSTPROCESSING), changed)
    try:
        predictor = CascadePredictor(manifest)
        assert predictor.largest_part == [] and "rerun soars-cross-validate" in predictor._warnings("new")[0]
        assert CascadePredictor(manifest, PredictionOptions(folds=[0])).largest_part == record["largest_part"]
    finally:
        write_json(manifest.with_name(POSTPROCESSING), record)


def test_command_prints_table_and_decision(validated, capsys):
    cascade, _, effects, folder, _ = validated
    assert cross_validate_command.main(["-d", "7", "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "Brainstem" in out and f"wrote {folder / 'evaluation.json'}" in out
    assert all(line in out for line in format_effects(effects))
