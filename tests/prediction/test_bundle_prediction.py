"""A bundle predicts what the cascade that it was made from predicts."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from bundles.damage import rewrite_manifest

from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.bundles.write import zip_bundle
from soars_nnunet.cli import cascade_predict
from soars_nnunet.cli import report as report_command
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.images.network_frame import Scan
from soars_nnunet.prediction.files import predict_files
from soars_nnunet.prediction.finished import dependencies
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor


def test_labels_are_equal_and_the_report_names_the_bundle(tiny_bundle, predictor, prediction, image, tmp_path):
    zip_bundle(tiny_bundle, tmp_path / "tiny.zip")
    bundled = CascadePredictor(tmp_path / "tiny.zip")
    labels, report = bundled.predict(image, "somebody")
    expected, trained = prediction
    assert (sitk.GetArrayViewFromImage(labels) == sitk.GetArrayViewFromImage(expected)).all()
    assert report["organs"] == trained["organs"] and report["targets"] == trained["targets"]
    assert report["models"]["anchor"] == {"name": "tiny", "folds": [0, 1]}
    assert report["bundle"] == {"name": "tiny", "format_version": 1, "sha256": open_bundle(tiny_bundle).bundle.sha256}
    assert "bundle" not in trained and set(report) == {*trained, "bundle"}
    ours, theirs = dependencies(bundled), dependencies(predictor)
    assert {key for key in ours if ours[key] != theirs[key]} == {"models"}


def test_a_training_patient_is_noticed_by_hash(tiny_bundle, image, untrained_cascade):
    known = untrained_cascade.splits()[0]["train"][0]
    predictor = CascadePredictor(open_bundle(tiny_bundle), PredictionOptions(folds=[0], organs=["Brainstem"]))
    for name, expected in ((known, 1), ("somebody", 0), (untrained_cascade.splits()[0]["val"][0], 0)):
        warnings = predictor._warnings(name)
        assert len(warnings) == expected and all("name of a training patient" in text for text in warnings)


def test_a_decision_that_travels_is_applied(bundle_copy):
    rewrite_manifest(bundle_copy, "postprocessing", {"largest_part": ["Brainstem", "Eye_L"]})
    assert CascadePredictor(bundle_copy, PredictionOptions(organs=["Eye_L"])).largest_part == ["Eye_L"]
    options = PredictionOptions(organs=["Eye_L"], folds=[1])
    assert CascadePredictor(bundle_copy, options).largest_part == ["Eye_L"]
    assert CascadePredictor(bundle_copy, PredictionOptions(organs=["Eye_L"], postprocess=False)).largest_part == []


def test_only_weights_that_are_needed_are_read(bundle_copy):
    (bundle_copy / "anchor_fold_1.safetensors").write_bytes(
        bytes((bundle_copy / "anchor_fold_1.safetensors").stat().st_size)
    )
    options = PredictionOptions(folds=[0], organs=["Brainstem"])
    assert list(CascadePredictor(bundle_copy, options).models) == ["anchor"]
    with pytest.raises(MissingArtifactError, match="anchor_fold_1.safetensors: expected SHA-256"):
        CascadePredictor(bundle_copy)


def test_the_command_takes_a_bundle_keeps_what_is_finished_and_makes_a_page(tiny_bundle, image, tmp_path, capfd):
    sitk.WriteImage(image, str(tmp_path / "ct.nii.gz"))
    arguments = ["-i", str(tmp_path / "ct.nii.gz"), "-o", str(tmp_path / "out"), "--model", str(tiny_bundle)]
    arguments += ["--device", "cpu", "--folds", "0", "--roi-subset", "Brainstem"]
    assert cascade_predict.main(arguments) == 0
    first = capfd.readouterr().out
    assert first.startswith("model tiny: ") and "trained on 4 phantoms" in first.splitlines()[0]
    report = json.loads((tmp_path / "out" / "ct.json").read_text())
    assert report["bundle"]["name"] == "tiny" and report["sha256"]["models"].keys() == {"anchor"}
    assert cascade_predict.main(arguments) == 0
    assert "verified" in capfd.readouterr().out
    page = ["-p", str(tmp_path / "out"), "-i", str(tmp_path / "ct.nii.gz")]
    assert report_command.main(page) == 0
    text = (tmp_path / "out" / "ct.html").read_text()
    assert "format version 1" in text and report["bundle"]["sha256"] in text


def test_open_bundles_can_be_given(tiny_bundle, image, tmp_path):
    sitk.WriteImage(image, str(tmp_path / "ct.nii.gz"))
    options = PredictionOptions(folds=[0], organs=["Brainstem"])
    (written,) = predict_files(tmp_path / "ct.nii.gz", tmp_path / "out", open_bundle(tiny_bundle), options)
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(written)))
    predictor = CascadePredictor(tiny_bundle, options)
    labels, _ = predictor.export(predictor.infer(Scan.of(image, "ct")))
    assert np.array_equal(found, sitk.GetArrayFromImage(labels))
