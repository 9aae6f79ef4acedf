from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from cli.cases import ct_array, write_image

from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cli import cascade_predict
from soars_nnunet.prediction import choosing
from soars_nnunet.prediction import files as predict_files
from soars_nnunet.prediction.tiling import Tiling


def test_unset_results_folder(refused, monkeypatch, tmp_path):
    monkeypatch.delenv("nnUNet_results")
    line = refused(cascade_predict.main, "-i", tmp_path, "-o", tmp_path / "out")
    assert "nnUNet_results is not set" in line and "export" in line
    assert "the bundle openkbp7 is not in this installation" in line


def test_one_model_is_named_and_not_two(refused, tmp_path):
    line = refused(cascade_predict.main, "-i", tmp_path, "-o", tmp_path / "out", "--model", "mine")
    assert "no bundle 'mine': expected the name of a shipped or installed one (none)" in line
    with pytest.raises(SystemExit) as left:
        cascade_predict.main(["-i", "ct", "-o", "out", "--model", "mine", "-d", "7"])
    assert left.value.code == 2


def not_cts(folder):
    """One unusable input each, by kind."""
    ct = ct_array()
    rgb = np.random.default_rng(0).integers(0, 255, (*ct.shape, 3)).astype(np.uint8)
    with_nan = ct_array(np.float32)
    with_nan[3, 3, 3] = np.nan
    cut_zip = write_image(folder / "cut.nii.gz", ct)
    cut_zip.write_bytes(cut_zip.read_bytes()[:-500])
    cut_plain = write_image(folder / "plain.nii", ct)
    cut_plain.write_bytes(cut_plain.read_bytes()[:-500])
    cut_nrrd = write_image(folder / "cut.nrrd", ct)
    cut_nrrd.write_bytes(cut_nrrd.read_bytes()[:-500])
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("no image")
    (folder / "text.nii.gz").write_text("no image")
    return {
        "missing": folder / "nothing.nii.gz",
        "empty folder": folder / "empty",
        "text": folder / "notes.txt",
        "text as nifti": folder / "text.nii.gz",
        "2D": write_image(folder / "flat.nii.gz", ct[0]),
        "RGB": write_image(folder / "rgb.nii.gz", rgb, is_vector=True),
        "truncated gzip": cut_zip,
        "truncated": cut_plain,
        "truncated nrrd": cut_nrrd,
        "NaN": write_image(folder / "nan.mha", with_nan),
        "label map": write_image(folder / "labels.nii.gz", (ct > 0).astype(np.uint8)),
        "few slices": write_image(folder / "thin.nii.gz", ct[:3]),
        "8 bit": write_image(folder / "picture.nii.gz", rgb[..., 0]),
        "offset": write_image(folder / "offset.nii.gz", (ct + 1000).astype(np.uint16)),
    }


KINDS = {
    "missing": "found nothing",
    "empty folder": "expected CT files",
    "text": "expected a CT file",
    "text as nifti": "readable image",
    "2D": "2D image",
    "RGB": "3 components",
    "truncated gzip": "truncated",
    "truncated": "truncated",
    "truncated nrrd": "truncated",
    "NaN": "NaN",
    "label map": "label map",
    "few slices": "at least 8 voxels",
    "8 bit": "8-bit",
    "offset": "offset",
}


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_that_are_no_ct(refused, tmp_path, manifest, kind):
    (tmp_path / "in").mkdir()
    path = not_cts(tmp_path / "in")[kind]
    line = refused(cascade_predict.main, "-i", path, "-o", tmp_path / "out", "-m", manifest, "--device", "cpu")
    assert KINDS[kind] in line
    assert not (tmp_path / "out").exists()


def test_folder_without_a_manifest(refused, tmp_path):
    ct = write_image(tmp_path / "ct.nii.gz", ct_array())
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert "manifest.json" in refused(cascade_predict.main, "-i", ct, "-o", tmp_path / "out", "-m", folder)


@pytest.mark.parametrize("content", ["{}", "[]", "{", '{"profile": {}, "branches": {}}'])
def test_unusable_manifest(refused, tmp_path, manifest, content):
    ct = write_image(tmp_path / "ct.nii.gz", ct_array())
    (manifest / "manifest.json").write_text(content)
    refused(cascade_predict.main, "-i", ct, "-o", tmp_path / "out", "-m", manifest, "--device", "cpu")
    assert not (tmp_path / "out").exists()


def test_no_trained_cascade(refused, tmp_path):
    ct = write_image(tmp_path / "ct.nii.gz", ct_array())
    line = refused(cascade_predict.main, "-i", ct, "-o", tmp_path / "out")
    assert "expected exactly one trained cascade" in line and "found none" in line


def test_dataset_that_is_not_planned(refused, tmp_path, stratified):
    ct = write_image(tmp_path / "ct.nii.gz", ct_array())
    assert "soars-plan -d 42" in refused(cascade_predict.main, "-i", ct, "-o", tmp_path / "out", "-d", 42)


def test_every_option_of_prediction_arrives(monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr(choosing, "choose_cascade", lambda *where, progress: where)

    def predict(*what, progress):
        asked.update(asdict(what[-1]), what=what[:-1])

    monkeypatch.setattr(predict_files, "predict_files", predict)
    assert cascade_predict.main(["-i", "in", "-o", "out", "--device", "cpu"]) == 0
    plain = dict(asked)
    options = ["-i", "in", "-o", "out", "--device", "cpu", "-d", "42", "--plans-name", "P", "--folds", "1", "0"]
    options += ["--step-size", "0.3", "--tiling", "everywhere", "--overwrite", "--no-postprocessing", "--tta"]
    options += ["--roi-subset", "Eye_L", "--roi-subset", "left parotid", "--part-id", "2", "--num-parts", "5", "--fast"]
    assert cascade_predict.main([*options, "--memory-limit", "7.5"]) == 0
    assert asked.pop("what") == (Path("in"), Path("out"), ("42", None, None, "P"))
    assert plain.pop("what") == (Path("in"), Path("out"), (None, None, None, DEFAULT_PLANS))
    assert asked == {
        "folds": [1, 0],
        "device": torch.device("cpu"),
        "tiling": asdict(Tiling("everywhere", step_size=0.3)),
        "overwrite": True,
        "postprocess": False,
        "mirror": True,
        "organs": ["Eye_L", "left parotid"],
        "part_id": 2,
        "num_parts": 5,
        "fast": True,
        "memory_limit_gib": 7.5,
    }
    assert not [key for key, value in plain.items() if value == asked[key] and key != "device"]
    assert cascade_predict.main(["-i", "in", "-o", "out", "--device", "cpu", "-m", "models"]) == 0
    assert asked["what"] == (Path("in"), Path("out"), (None, Path("models"), None, DEFAULT_PLANS))
