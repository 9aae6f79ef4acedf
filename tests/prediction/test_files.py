"""Cascade prediction of files: formats, resume, bad inputs, and a moved model folder."""

import shutil

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import torch

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.manifest import locate_manifest
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cli import cascade_predict as cascade_predict_command
from soars_nnunet.cli import evaluate as evaluate_command
from soars_nnunet.errors import InputError
from soars_nnunet.prediction.files import predict_files
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.prediction.tiling import Tiling

OF_THE_FOLDER = ["dataset.json", "soars_labels.ctbl", "soars_labels_itksnap.txt"]
"""Files of an output folder beside those of its cases."""


@pytest.fixture
def manifest(untrained_cascade):
    return untrained_cascade.manifest(DEFAULT_PLANS)


@pytest.fixture
def ct(untrained_cascade):
    return raw_folder() / untrained_cascade.source / "imagesTs" / "phantom_004_0000.nii.gz"


def labels_of(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


@pytest.fixture
def formats(ct, tmp_path):
    """The same CT in three formats and under three names."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a_0000.nii.gz", "b.nrrd", "c.mha"):
        sitk.WriteImage(sitk.ReadImage(str(ct)), str(folder / name))
    return folder


def test_every_format_comes_back_as_it_came(manifest, formats, tmp_path):
    output = tmp_path / "out"
    written = predict_files(formats, output, manifest)
    assert written == [output / name for name in ("a.nii.gz", "b.nrrd", "c.mha")]
    images = [sitk.ReadImage(str(path)) for path in written]
    inputs = [sitk.ReadImage(str(path)) for path in sorted(formats.iterdir())]
    for image, source in zip(images, inputs, strict=True):
        assert image.GetPixelID() == sitk.sitkUInt8 and image.GetSize() == source.GetSize()
        for what in ("Spacing", "Origin", "Direction"):
            np.testing.assert_allclose(getattr(image, f"Get{what}")(), getattr(source, f"Get{what}")(), atol=1e-5)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(images[0]))
    assert sorted(path.name for path in output.iterdir()) == sorted(
        ["a.json", "a.nii.gz", "b.json", "b.nrrd", "c.json", "c.mha", *OF_THE_FOLDER]
    )
    assert read_json(output / "b.json")["case"] == "b"
    (names,) = nibabel.load(output / "a.nii.gz").header.extensions
    assert b"[Brainstem]]></Label>" in names.get_content()


def test_finished_cases_are_kept_and_damaged_ones_made_again(manifest, formats, tmp_path):
    output, lines = tmp_path / "out", []
    first, second, third = predict_files(formats, output, manifest)
    expected = labels_of(first)
    times = {path: path.stat().st_mtime_ns for path in (first, second, third)}
    second.write_bytes(second.read_bytes()[:-100])
    third.with_suffix(".json").write_text("{")
    predict_files(formats, output, manifest, progress=lines.append)
    assert [line for line in lines if "finished already" in line] == ["[1/3] a: finished already, verified"]
    changed = {path for path in times if path.stat().st_mtime_ns != times[path]}
    assert changed == {second, third}
    for path in changed:
        np.testing.assert_array_equal(labels_of(path), expected)


@pytest.mark.parametrize(
    "change", [{"folds": [0]}, {"tiling": Tiling(step_size=0.9)}, {"tiling": Tiling("large")}, {"overwrite": True}]
)
def test_other_choices_predict_again(manifest, ct, tmp_path, change):
    lines = []
    (path,) = predict_files(ct, tmp_path, manifest)
    before = path.stat().st_mtime_ns
    predict_files(ct, tmp_path, manifest, PredictionOptions(**change), progress=lines.append)
    assert path.stat().st_mtime_ns != before
    assert not [line for line in lines if "finished already" in line]


@pytest.mark.parametrize(
    ("tiling", "stored"),
    [
        (Tiling(), {"step_size": None, "everywhere": False, "large": False}),
        (Tiling("everywhere", 0.9), {"step_size": 0.9, "everywhere": True, "large": False}),
    ],
)
def test_a_case_finished_by_an_older_version_is_recognised(manifest, ct, tmp_path, tiling, stored):
    """Its report says in flags how the networks ran."""
    options, lines = PredictionOptions(tiling=tiling, folds=[0]), []
    (path,) = predict_files(ct, tmp_path, manifest, options)
    report_path = path.with_name(path.name.replace(".nii.gz", ".json"))
    report = read_json(report_path)
    assert report["sha256"]["tiling"] == stored
    key = ["input", "models", "plans", "inference", "cascade", "mirror", "tiling", "largest_part", "organs", "output"]
    assert list(report["sha256"]) == key
    write_json(report_path, {**report, "sha256": {**report["sha256"], "tiling": stored}})
    predict_files(ct, tmp_path, manifest, options, progress=lines.append)
    assert [line for line in lines if "finished already, verified" in line]


def test_other_thresholds_of_the_same_networks_predict_again(manifest, ct, tmp_path):
    facts, original = read_json(manifest), manifest.read_bytes()
    (path,) = predict_files(ct, tmp_path / "out", manifest)
    before = path.stat().st_mtime_ns
    for target in facts["targets"].values():
        target["low_confidence_below"] = 99.0
    try:
        write_json(manifest, facts)
        predict_files(ct, tmp_path / "out", manifest)
    finally:
        manifest.write_bytes(original)
    assert path.stat().st_mtime_ns != before
    report = read_json(path.with_name(path.name.replace(".nii.gz", ".json")))
    assert {report["organs"][name]["status"] for name in ("Pituitary", "Pineal")} <= {"not_found", "absent"}


def test_names_and_folders_that_results_would_overwrite_are_refused(manifest, ct, tmp_path):
    for name in ("a.nii.gz", "dataset.nii.gz"):
        shutil.copyfile(ct, tmp_path / name)
    with pytest.raises(InputError, match="expected another folder than the CTs'"):
        predict_files(tmp_path, tmp_path, manifest)
    with pytest.raises(InputError, match=r"1 of 2 CTs .*dataset\.nii\.gz: expected a name that a result can have"):
        predict_files(tmp_path, tmp_path / "out", manifest)
    assert (tmp_path / "out" / "a.nii.gz").is_file(), "the others are done"


def test_a_spacing_in_micrometres_is_said_to_be_one(manifest, ct, tmp_path, capsys):
    image = sitk.ReadImage(str(ct))
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    image.SetSpacing([1000 * mm for mm in image.GetSpacing()])
    sitk.WriteImage(image, str(tmp_path / "b.nii.gz"))
    lines = []
    with pytest.raises(InputError, match="1 of 2 CTs .*b: expected a spacing of 0 to"):
        predict_files(tmp_path, tmp_path / "out", manifest, progress=lines.append)
    assert float(lines[0].split("memory ")[1].split()[0]) < 100


def test_another_ct_of_the_same_name_is_predicted_again(manifest, ct, tmp_path):
    other = tmp_path / ct.name
    shutil.copyfile(ct.with_name("phantom_005_0000.nii.gz"), other)
    (path,) = predict_files(ct, tmp_path / "out", manifest)
    shape = labels_of(path).shape
    predict_files(other, tmp_path / "out", manifest)
    assert labels_of(path).shape != shape


def test_a_used_folder_keeps_its_names_and_foreign_files(manifest, ct, tmp_path, capsys):
    few = ["-m", str(manifest.parent), "--device", "cpu", "--roi-subset", "Brainstem", "-i", str(ct), "-o"]
    output = tmp_path / "used"
    output.mkdir()
    labels = {"background": 0, "Brainstem": 1, "Cerebellum": 2}
    write_json(output / "dataset.json", {"labels": labels, "profile": "hn42"})
    assert cascade_predict_command.main([*few, str(output)]) == 0
    assert read_json(output / "dataset.json") == {"labels": labels, "profile": "hn42"}
    raw = tmp_path / "Dataset009_Raw"
    for name in ("imagesTr", "labelsTr"):
        (raw / name).mkdir(parents=True)
    shutil.copyfile(raw_folder() / ct.parents[1].name / "dataset.json", raw / "dataset.json")
    reference = raw / "other" / "phantom_004.nii.gz"
    reference.parent.mkdir()
    reference.write_bytes((output / "phantom_004.nii.gz").read_bytes())
    before = {path: path.read_bytes() for path in raw.rglob("*") if path.is_file()}
    for folder in (raw, raw / "imagesTr", raw / "labelsTr", reference.parent):
        capsys.readouterr()
        assert cascade_predict_command.main([*few, str(folder), "--overwrite"]) == 2
        assert capsys.readouterr().err.startswith("error: ")
    assert {path: path.read_bytes() for path in before} == before


def test_bad_cts_stop_no_other(manifest, formats, tmp_path, capsys):
    output = tmp_path / "out"
    (formats / "a_bad.nii.gz").write_bytes((formats / "a_0000.nii.gz").read_bytes()[:5000])
    sitk.WriteImage(sitk.Image([20, 20, 20], sitk.sitkUInt8) + 7, str(formats / "b_bad.mha"))
    with pytest.raises(InputError, match="2 of 5 CTs were refused") as refused:
        predict_files(formats, output, manifest)
    assert "a_bad" in str(refused.value) and "b_bad" in str(refused.value) and "\n" not in str(refused.value)
    assert sorted(path.name for path in output.iterdir()) == sorted(
        ["a.json", "a.nii.gz", "b.json", "b.nrrd", "c.json", "c.mha", *OF_THE_FOLDER]
    )
    arguments = ["-i", str(formats), "-o", str(output), "-m", str(manifest.parent), "--device", "cpu"]
    assert cascade_predict_command.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: 2 of 5 CTs were refused") and captured.err.count("\n") == 1
    assert captured.out.count("finished already, verified") == 3


def test_labels_of_a_ct_that_became_bad_are_said_not_to_be_its_own(manifest, formats, tmp_path, capsys):
    output = tmp_path / "out"
    (formats / "b.nrrd").unlink()
    predict_files(formats, output, manifest)
    before = (output / "c.mha").read_bytes()
    good = (formats / "c.mha").read_bytes()
    (formats / "c.mha").write_bytes(good[:3000])
    arguments = ["-i", str(formats), "-o", str(output), "-m", str(manifest.parent), "--device", "cpu"]
    for given in (arguments, ["-i", str(formats / "c.mha"), *arguments[2:]]):
        assert cascade_predict_command.main(given) == 2
        assert f"{output / 'c.mha'} is still there, of the CT as it was before: delete it" in capsys.readouterr().err
    assert "as it was before" in read_json(output / "c.json")["warnings"][0]
    assert (output / "c.mha").read_bytes() == before and "stale" not in read_json(output / "a.json")
    (formats / "c.mha").write_bytes(good)
    predict_files(formats, output, manifest)
    assert "stale" not in read_json(output / "c.json") and (output / "c.mha").read_bytes() == before


def test_a_voxel_of_a_detached_header_is_another_ct(manifest, ct, tmp_path):
    image = sitk.ReadImage(str(ct))
    sitk.WriteImage(image, str(tmp_path / "a.mhd"), False)
    lines = []
    predict_files(tmp_path / "a.mhd", tmp_path / "out", manifest, progress=lines.append)
    predict_files(tmp_path / "a.mhd", tmp_path / "out", manifest, progress=lines.append)
    assert "verified" in lines[-1]
    image[20, 20, 20] = image[20, 20, 20] + 1
    sitk.WriteImage(image, str(tmp_path / "a.mhd"), False)
    predict_files(tmp_path / "a.mhd", tmp_path / "out", manifest, progress=lines.append)
    assert "verified" not in lines[-1]


def test_a_lone_bad_ct_leaves_nothing_behind(manifest, tmp_path):
    bad = tmp_path / "bad.nii.gz"
    bad.write_bytes(b"nothing")
    with pytest.raises(InputError, match="bad.nii.gz: expected a readable image file"):
        predict_files(bad, tmp_path / "out", manifest)
    assert not (tmp_path / "out").exists()


def test_output_must_be_a_folder(manifest, ct, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="expected a folder, got a file"):
        predict_files(ct, tmp_path / "file", manifest)


def test_evaluation_takes_the_label_names_beside_the_prediction(untrained_cascade, manifest, tmp_path, capsys, caplog):
    source = raw_folder() / untrained_cascade.source
    output = tmp_path / "out"
    predict_files(source / "imagesTs", output, manifest)
    names = read_json(output / "dataset.json")
    assert names["profile"] == "hn42" and len(names["labels"]) == 43
    reference = tmp_path / "reference"
    reference.mkdir()
    for case in ("phantom_004", "phantom_005"):
        shutil.copyfile(output / f"{case}.nii.gz", reference / f"{case}.nii.gz")
    # the reference counts the other way round; only its own dataset.json tells
    swapped = {"background": 0, **{name: 43 - value for name, value in names["labels"].items() if value}}
    (reference / "dataset.json").write_text(f'{{"labels": {swapped}}}'.replace("'", '"'))
    for path in reference.glob("*.nii.gz"):
        image = sitk.ReadImage(str(path))
        sitk.WriteImage(sitk.Mask(43 - image, image > 0), str(path))
    with caplog.at_level("INFO"):
        assert evaluate_command.main(["-p", str(output), "-r", str(reference), "-o", str(tmp_path / "scores")]) == 0
    assert f"prediction: label names from {output / 'dataset.json'}" in caplog.text
    rows = (tmp_path / "scores" / "evaluation.csv").read_text()
    assert "phantom_004" in rows and "Pituitary" in rows
    scores = read_json(tmp_path / "scores" / "evaluation.json")
    dice = [score["dsc"] for score in scores["scores"] if score["dsc"] is not None]
    assert dice and min(dice) == 1.0, "the two differ in their numbers only"


def test_results_folder_works_elsewhere(untrained_cascade, manifest, ct, tmp_path, monkeypatch):
    (expected,) = predict_files(ct, tmp_path / "here", manifest)
    moved = tmp_path / "moved"
    shutil.copytree(manifest.parents[2], moved)
    content = ct.read_bytes()
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results", "nnUNet_extTrainer"):
        monkeypatch.delenv(variable)
    (tmp_path / ct.name).write_bytes(content)
    folder = moved / manifest.parent.relative_to(manifest.parents[2])
    for models in (folder, folder / manifest.name):
        assert locate_manifest(None, models, DEFAULT_PLANS) == folder / manifest.name
    arguments = ["-i", str(tmp_path / ct.name), "-o", str(tmp_path / "there"), "-m", str(folder), "--device", "cpu"]
    assert cascade_predict_command.main(arguments) == 0
    np.testing.assert_array_equal(labels_of(tmp_path / "there" / expected.name), labels_of(expected))
    text = folder.joinpath("manifest.json").read_text()
    assert str(manifest.parents[3]) not in text, "the manifest names no absolute path"


def test_no_patient_travels_with_the_models(untrained_cascade, manifest):
    """Neither case names nor paths of the training data are in the results folder."""
    results = manifest.parents[2]
    files = [path for path in results.rglob("*") if path.is_file() and path.suffix in (".json", ".pth", ".txt")]
    assert len(files) > 16
    for path in files:
        content = path.read_bytes()
        for secret in (b"phantom_00", b"imagesTr", b"nnUNet_raw"):
            assert secret not in content, f"{path.relative_to(results)} holds {secret.decode()}"


def test_parts_share_the_cases_out(manifest, formats, tmp_path):
    lines = []
    halves = [PredictionOptions(part_id=index, num_parts=2) for index in (0, 1)]
    parts = [predict_files(formats, tmp_path / "out", manifest, half) for half in halves]
    assert [[path.name for path in part] for part in parts] == [["a.nii.gz", "c.mha"], ["b.nrrd"]]
    last = PredictionOptions(part_id=3, num_parts=4)
    assert predict_files(formats, tmp_path / "more", manifest, last, progress=lines.append) == []
    assert lines == ["part 3 of 4: no case"]


@pytest.mark.parametrize(
    ("error", "text"), [(torch.OutOfMemoryError("out of memory"), "out of memory"), (KeyError("Ear_L"), "'Ear_L'")]
)
def test_a_failed_case_does_not_stop_the_others(manifest, formats, tmp_path, monkeypatch, error, text):
    infer = CascadePredictor.infer

    def failing(self, scan):
        if scan.name == "b":
            raise error
        return infer(self, scan)

    monkeypatch.setattr(CascadePredictor, "infer", failing)
    output = tmp_path / "out"
    (output / "c.json").mkdir(parents=True)  # writing this one fails, after the others
    with pytest.raises(InputError, match=f"2 of 3 CTs .* b: {type(error).__name__}: {text}; c: "):
        predict_files(formats, output, manifest)
    assert {"a.json", "a.nii.gz"} <= {path.name for path in output.iterdir()}
    (output / "c.json").rmdir()
    with pytest.raises(InputError, match=f"1 of 3 CTs .* b: {type(error).__name__}: {text}"):
        predict_files(formats, output, manifest)
    found = sorted(path.name for path in output.iterdir())
    assert found == ["a.json", "a.nii.gz", "c.json", "c.mha", *OF_THE_FOLDER]


def test_a_subset_runs_what_it_needs_and_loses_nothing_of_the_whole(manifest, ct, tmp_path):
    (whole,), (part,) = (
        predict_files(ct, tmp_path / name, manifest, PredictionOptions(organs=organs))
        for name, organs in (("whole", None), ("part", ["left parotid", "Brainstem"]))
    )
    assert read_json(tmp_path / "part" / "dataset.json")["labels"].keys() == {"background", "Brainstem", "Parotid_L"}
    report = read_json(tmp_path / "part" / f"{ct.name[:11]}.json")
    assert set(report["models"]) == {"anchor", "mid_level"} and set(report["organs"]) == {"Brainstem", "Parotid_L"}
    values = list(read_json(tmp_path / "part" / "dataset.json")["labels"].values())
    expected, found = labels_of(whole), labels_of(part)
    assert set(np.unique(found)) <= set(values)
    lost = (expected != found) & np.isin(expected, values)
    assert not lost.any(), "what the whole gives to a wanted organ stays its own"
    assert len(CascadePredictor(manifest, PredictionOptions(organs=["OpticNrv_R"])).models) == 3
    with pytest.raises(InputError, match="expected some of Brainstem, .*; got Heart"):
        CascadePredictor(manifest, PredictionOptions(organs=["Heart"]))


@pytest.mark.parametrize(
    "name", ["evaluation", "dataset", "_0000", "a\nerror: b", "\x1b[31mred", "\u202ereversed", "b" * 230]
)
def test_names_that_no_result_can_have_are_refused_before_a_model_is_loaded(tmp_path, name):
    (tmp_path / "cts").mkdir()
    (tmp_path / "cts" / f"{name}.nii.gz").touch()
    with pytest.raises(InputError, match="1 of 1 CTs were refused or failed: .*expected a name .*rename"):
        predict_files(tmp_path / "cts", tmp_path / "out", None)
    assert not (tmp_path / "out").exists()
