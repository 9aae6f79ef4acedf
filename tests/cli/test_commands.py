import json
import logging
import shlex
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from soars_nnunet.cascade import manifest as manifest_module
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.cli import commands as cli
from soars_nnunet.prediction import files as predict_files
from soars_nnunet.prediction.tiling import Tiling

SOURCE = "Dataset042_Neck"


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("nnUNet_extTrainer", "")  # the commands set it; this puts it back afterwards
    root = logging.getLogger()
    handlers = list(root.handlers)
    yield tmp_path
    root.handlers[:] = handlers


@pytest.fixture
def refused(capfd):
    """Runs a command that must fail with one line on stderr; returns the line."""

    def run(command, *arguments):
        code = command([str(argument) for argument in arguments])
        captured = capfd.readouterr()
        assert code == 2, captured
        assert "Traceback" not in captured.out + captured.err
        lines = captured.err.splitlines()
        assert len(lines) == 1 and lines[0].startswith("error: "), captured.err
        return lines[0]

    return run


def write_image(path, array, is_vector=False, spacing=None, ending=None):
    image = sitk.GetImageFromArray(array, isVector=is_vector)
    if spacing:
        image.SetSpacing(spacing)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def ct_array(dtype=np.int16):
    ct = np.random.default_rng(0).integers(-100, 100, (12, 14, 16)).astype(dtype)
    ct[:, :3], ct[:, 8:10, 8:10] = -1000, 900
    return ct


@pytest.fixture
def source(folders):
    """Two cases with a brainstem and both parotids."""
    labels = np.zeros((12, 14, 16), np.uint8)
    for value, columns in ((1, slice(7, 9)), (2, slice(11, 14)), (3, slice(2, 5))):
        labels[4:8, 4:8, columns] = value
    data = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "Brainstem": 1, "Parotid_L": 2, "Parotid_R": 3},
        "numTraining": 2,
        "file_ending": ".nii.gz",
        "dataset": {},
    }
    folder = folders / "nnUNet_raw" / SOURCE
    for case in ("a", "b"):
        write_image(folder / "imagesTr" / f"{case}_0000.nii.gz", ct_array())
        write_image(folder / "labelsTr" / f"{case}.nii.gz", labels)
        data["dataset"][case] = {"images": [f"imagesTr/{case}_0000.nii.gz"], "label": f"labelsTr/{case}.nii.gz"}
    (folder / "dataset.json").write_text(json.dumps(data))
    return folder


@pytest.fixture
def stratified(source, capfd):
    assert cli.stratify(["-d", "42", "-p", "hn42", "--folds", "2"]) == 0
    return capfd.readouterr().out


@pytest.fixture
def manifest(tmp_path):
    """Folder with a manifest: inputs are checked before any model is loaded."""
    (tmp_path / "cascade").mkdir()
    (tmp_path / "cascade" / "manifest.json").write_text("{}")
    return tmp_path / "cascade"


@pytest.mark.parametrize("variable", ["nnUNet_raw", "nnUNet_preprocessed"])
def test_unset_folder(refused, monkeypatch, variable, source):
    monkeypatch.delenv(variable)
    assert f"{variable} is not set" in refused(cli.stratify, "-d", 42, "-p", "hn42", "--folds", 2)


def test_unset_results_folder(refused, monkeypatch, tmp_path):
    monkeypatch.delenv("nnUNet_results")
    line = refused(cli.cascade_predict, "-i", tmp_path, "-o", tmp_path / "out")
    assert "nnUNet_results is not set" in line and "export" in line


@pytest.mark.parametrize(
    ("command", "arguments"),
    [(cli.stratify, ["-p", "hn42"]), (cli.plan, []), (cli.channels, [])],
    ids=["stratify", "plan", "channels"],
)
def test_unknown_dataset(refused, source, command, arguments):
    line = refused(command, "-d", 43, *arguments)
    assert "dataset 43" in line and SOURCE in line


@pytest.mark.parametrize("command", [cli.plan, cli.channels], ids=["plan", "channels"])
def test_dataset_that_is_not_stratified(refused, source, command):
    assert "soars-stratify -d 42" in refused(command, "-d", 42)


def test_unknown_profile(refused, source):
    assert "no profile 'hn43'" in refused(cli.stratify, "-d", 42, "-p", "hn43")
    assert "no profile 'hn43'" in refused(cli.evaluate, "-p", source, "-r", source, "--profile", "hn43")


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"name": "x", "organs": [{"name": "Eye"}]}', b"\xff\xfe\x00"])
def test_bad_profile_file(refused, source, tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    assert "profile" in refused(cli.stratify, "-d", 42, "-p", path)


def test_dataset_without_or_with_broken_json(refused, source):
    for content in ("{", None):
        (source / "dataset.json").unlink() if content is None else (source / "dataset.json").write_text(content)
        assert "dataset.json" in refused(cli.stratify, "-d", 42, "-p", "hn42")


@pytest.mark.parametrize("content", ["[]", "{}", '{"channel_names": {"0": "CT"}}', '{"labels": {}}'])
def test_dataset_json_without_the_needed_keys(refused, source, content):
    (source / "dataset.json").write_text(content)
    refused(cli.stratify, "-d", 42, "-p", "hn42")


@pytest.mark.parametrize(
    "arguments",
    [["--folds", 5], ["--folds", 0], ["--folds", 2, "--ids", 1, 2, 3, 3], ["--folds", 2, "--patient-pattern", "("]],
)
def test_bad_stratify_options(refused, source, arguments):
    refused(cli.stratify, "-d", 42, "-p", "hn42", *arguments)


def test_label_map_that_cannot_be_read(refused, source):
    path = source / "labelsTr" / "b.nii.gz"
    path.write_bytes(path.read_bytes()[:60])
    assert "b.nii.gz" in refused(cli.stratify, "-d", 42, "-p", "hn42", "--folds", 2)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--set", "nonsense=1"], "expected KEY=VALUE"),
        (["--set", "nonsense=1", "--set", "num_epochs=5"], "got 'nonsense=1'"),
        (["--set", "num_epochs=many"], "expected a JSON value"),
        (["--set", "num_epochs"], "expected KEY=VALUE"),
        (["--regime", "papers"], "expected one of paper, nnunet, demo"),
        (["--branches", "anchors"], "expected some of anchor, mid_level, got anchors"),
        (["--spacing", 1, 0, 1], "three positive numbers"),
        (["--spacing", 40, 1, 1], "at least 4 voxels"),
    ],
)
def test_bad_plan_options(refused, stratified, arguments, part):
    assert part in refused(cli.plan, "-d", 42, *arguments)


def test_remembered_values_that_are_refused_now_name_their_file(refused, stratified):
    path = Cascade.load("42").options(DEFAULT_PLANS)
    write_json(path, {"regime": "demo", "overrides": ["seed=-1"]})
    line = refused(cli.plan, "-d", 42)
    assert str(path) in line and "--set seed: expected a value like" in line and "give --set anew" in line
    assert str(path) not in refused(cli.plan, "-d", 42, "--set", "seed=-1")


def test_stratify_says_what_it_left_out_and_what_is_next(stratified):
    assert "[2/2] b" in stratified
    assert "in profile hn42, not in the dataset: Cerebellum, Eye_L" in stratified
    assert "Dataset421_Neck_Anchor: written" in stratified
    assert stratified.splitlines()[-1] == "next: soars-plan -d 42"


def test_channels_before_training_names_folds_and_commands(refused, stratified):
    line = refused(cli.channels, "-d", 42, "--device", "cpu")
    assert "fold(s) [0, 1]" in line
    for fold in (0, 1):
        assert f"nnUNetv2_train 421 3d_fullres {fold} -tr SOARSAnchorTrainer" in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_cuda_without_a_gpu(refused, stratified, manifest, tmp_path):
    assert "use --device cpu" in refused(cli.channels, "-d", 42, "--device", "cuda")
    assert "use --device cpu" in refused(
        cli.cascade_predict, "-i", tmp_path, "-o", tmp_path / "out", "-m", manifest, "--device", "cuda"
    )


def test_unknown_device(refused, stratified):
    assert "expected cpu, cuda or mps, got 'tpu'" in refused(cli.channels, "-d", 42, "--device", "tpu")


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
    line = refused(cli.cascade_predict, "-i", path, "-o", tmp_path / "out", "-m", manifest, "--device", "cpu")
    assert KINDS[kind] in line
    assert not (tmp_path / "out").exists()


def test_folder_without_a_manifest(refused, tmp_path):
    ct = write_image(tmp_path / "ct.nii.gz", ct_array())
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert "manifest.json" in refused(cli.cascade_predict, "-i", ct, "-o", tmp_path / "out", "-m", folder)


@pytest.mark.parametrize("content", ["{}", "[]", "{", '{"profile": {}, "branches": {}}'])
def test_unusable_manifest(refused, tmp_path, manifest, content):
    ct = write_image(tmp_path / "ct.nii.gz", ct_array())
    (manifest / "manifest.json").write_text(content)
    refused(cli.cascade_predict, "-i", ct, "-o", tmp_path / "out", "-m", manifest, "--device", "cpu")
    assert not (tmp_path / "out").exists()


def test_no_trained_cascade(refused, tmp_path):
    ct = write_image(tmp_path / "ct.nii.gz", ct_array())
    line = refused(cli.cascade_predict, "-i", ct, "-o", tmp_path / "out")
    assert "expected exactly one trained cascade" in line and "found none" in line


def test_dataset_that_is_not_planned(refused, tmp_path, stratified):
    ct = write_image(tmp_path / "ct.nii.gz", ct_array())
    assert "soars-plan -d 42" in refused(cli.cascade_predict, "-i", ct, "-o", tmp_path / "out", "-d", 42)


def test_evaluate_on_another_grid(refused, tmp_path):
    labels = np.zeros((6, 7, 8), np.uint8)
    labels[2:4, 2:5, 2:5] = 1
    for name, spacing in (("prediction", (1.0, 1.0, 2.0)), ("reference", (1.0, 1.0, 2.5))):
        write_image(tmp_path / name / "a.nii.gz", labels, spacing=spacing)
    line = refused(cli.evaluate, "-p", tmp_path / "prediction", "-r", tmp_path / "reference")
    assert "spacing" in line and "a.nii.gz" in line
    assert sorted(path.name for path in (tmp_path / "prediction").iterdir()) == ["a.nii.gz"]


def test_evaluate_without_files_or_partners(refused, tmp_path):
    labels = np.zeros((6, 7, 8), np.uint8)
    write_image(tmp_path / "prediction" / "a.nii.gz", labels)
    write_image(tmp_path / "reference" / "b.nii.gz", labels)
    (tmp_path / "empty").mkdir()
    assert "same name" in refused(cli.evaluate, "-p", tmp_path / "prediction", "-r", tmp_path / "reference")
    assert "got none" in refused(cli.evaluate, "-p", tmp_path / "empty", "-r", tmp_path / "reference")
    assert "does not exist" in refused(cli.evaluate, "-p", tmp_path / "nowhere", "-r", tmp_path / "reference")


@pytest.mark.parametrize("arguments", [["-d", 0], ["-d", 1000], ["--train", 0], ["--shape", 0, 8, 8]])
def test_bad_phantom_options(refused, folders, arguments):
    refused(cli.phantom, *arguments)
    assert list((folders / "nnUNet_raw").iterdir()) == []


@pytest.mark.parametrize("shell", ["sh", "fish", "powershell"])
def test_env_names_a_folder_with_exactly_one_module(capsys, shell):
    assert cli.env(["--shell", shell]) == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1 and "nnUNet_extTrainer" in line
    folder = Path(shlex.split(line.replace("=", " "))[-1])
    assert [path.name for path in folder.glob("*.py") if path.name != "__init__.py"] == ["soars_trainers.py"]
    assert [path for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"] == []


def test_missing_arguments_exit_with_2_too(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.stratify([])
    assert stop.value.code == 2
    assert "-d/--dataset" in capsys.readouterr().err


def test_every_option_of_prediction_arrives(monkeypatch, tmp_path):
    asked = {}
    monkeypatch.setattr(manifest_module, "locate_manifest", lambda *where: where)
    monkeypatch.setattr(predict_files, "predict_files", lambda *what, **options: asked.update(options, what=what))
    assert cli.cascade_predict(["-i", "in", "-o", "out", "--device", "cpu"]) == 0
    plain = dict(asked)
    options = ["-i", "in", "-o", "out", "--device", "cpu", "-m", "models", "--plans-name", "P", "--folds", "1", "0"]
    options += ["--step-size", "0.3", "--everywhere", "--large-tiles", "--overwrite", "--no-postprocessing", "--tta"]
    options += ["--roi-subset", "Eye_L", "--roi-subset", "left parotid", "--part-id", "2", "--num-parts", "5", "--fast"]
    assert cli.cascade_predict([*options, "--memory-limit", "7.5"]) == 0
    assert asked.pop("progress") and plain.pop("progress")
    assert asked.pop("what") == (Path("in"), Path("out"), (None, Path("models"), "P"))
    assert plain.pop("what") == (Path("in"), Path("out"), (None, None, DEFAULT_PLANS))
    assert asked == {
        "folds": [1, 0],
        "device": torch.device("cpu"),
        "tiling": Tiling(step_size=0.3, everywhere=True, large=True),
        "overwrite": True,
        "postprocess": False,
        "mirror": True,
        "organs": ["Eye_L", "left parotid"],
        "part": (2, 5),
        "fast": True,
        "memory_limit_gib": 7.5,
    }
    assert not [key for key, value in plain.items() if value == asked[key] and key != "device"]
