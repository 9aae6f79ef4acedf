"""Organs that nobody drew: from the user's file to the branches, their crops and their trainers."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from nnunetv2.utilities.collate_outputs import collate_outputs

from soars_nnunet.cascade.classes import branch_labels
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.not_annotated import classes_not_annotated, read_not_annotated
from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.record import DEFAULT_PLANS, NOT_ANNOTATED
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cli import stratify as stratify_command
from soars_nnunet.errors import InputError
from soars_nnunet.guidance.crops import write_crops
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.stratify import StratifyOptions, stratify
from soars_nnunet.training.detection import SOARSDetectionTrainer
from soars_nnunet.training.midlevel import SOARSMidLevelTrainer

HN42 = load_profile("hn42")


def array(path):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))


def test_both_forms_and_any_spelling_are_read(tmp_path):
    path = tmp_path / "cases.json"
    write_json(
        path, {"a": ["Left Parotid", "liver", "Brainstem"], "b": {"split": "x", "unannotated": ["larynx"]}, "c": {}}
    )
    found = read_not_annotated(path, HN42, {"a", "b", "c", "d"})
    assert found == {"a": ["Brainstem", "Parotid_L"], "b": ["Larynx"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [([1], "expected {"), ({"a": "Larynx"}, "expected {"), ({"a": [3]}, "expected {"), ({"z": ["Larynx"]}, "also z")],
)
def test_other_content_is_refused(tmp_path, content, message):
    write_json(tmp_path / "cases.json", content)
    with pytest.raises(InputError, match=message):
        read_not_annotated(tmp_path / "cases.json", HN42, {"a"})


def test_a_class_is_open_if_one_of_its_organs_is():
    classes = [("Pair", ("Eye_L", "Eye_R")), ("Larynx", ("Larynx",))]
    assert classes_not_annotated({"a": ["Eye_R"], "b": ["Brainstem"]}, classes) == {"a": ["Pair"]}


@pytest.fixture
def partial(cascade_copy, tmp_path):
    """The tiny cascade stratified again: one contour listed as not drawn, one case without a voxel of another."""
    labels = raw_folder() / cascade_copy.source / "labelsTr"
    emptied = sitk.ReadImage(str(labels / "phantom_002.nii.gz"))
    voxels = sitk.GetArrayFromImage(emptied)
    voxels[voxels == cascade_copy.labels["Parotid_L"]] = 0
    changed = sitk.GetImageFromArray(voxels)
    changed.CopyInformation(emptied)
    sitk.WriteImage(changed, str(labels / "phantom_002.nii.gz"))
    write_json(tmp_path / "cases.json", {"phantom_000": ["Larynx", "OpticNrv_L", "Brainstem"]})
    return cascade_copy, tmp_path / "cases.json"


def test_branches_know_what_was_not_drawn(partial, capsys):
    cascade, path = partial
    source = raw_folder() / cascade.source
    assert stratify_command.main(["-d", "7", "-p", "hn42", "--folds", "2", "--unannotated", str(path)]) == 0
    out = capsys.readouterr().out
    assert "phantom_000: Brainstem, Larynx, OpticNrv_L listed as not drawn; the contours are not used" in out
    tables = {key: read_json(cascade.preprocessed(key) / NOT_ANNOTATED) for key in ("anchor", "mid_level", "detection")}
    target = HN42.by_name["OpticNrv_L"].target
    # a few organs of the coarse phantoms have no voxel either
    assert tables["anchor"] == {"phantom_000": ["Brainstem"]} and target in tables["detection"]["phantom_000"]
    assert "Larynx" in tables["mid_level"]["phantom_000"] and "Larynx" not in tables["mid_level"]["phantom_002"]
    assert "Parotid_L" in tables["mid_level"]["phantom_002"]
    written = array(cascade.raw("anchor") / "labelsTr" / "phantom_000.nii.gz")
    truth = array(source / "labelsTr" / "phantom_000.nii.gz")
    for value, (_, (name,)) in enumerate(branch_labels(cascade, "anchor"), 1):
        expected = (truth == cascade.labels[name]) & (name != "Brainstem")
        np.testing.assert_array_equal(written == value, expected)


def test_empty_is_not_drawn_unless_the_user_says_absent(partial, capsys):
    cascade, _ = partial
    assert stratify_command.main(["-d", "7", "-p", "hn42", "--folds", "2"]) == 0
    assert "taken as there but not drawn" in capsys.readouterr().out
    assert "Parotid_L" in read_json(cascade.preprocessed("mid_level") / NOT_ANNOTATED)["phantom_002"]
    done = stratify(7, HN42, StratifyOptions(num_folds=2, empty_means_absent=True))
    assert "Parotid_L" in done.empty["phantom_002"] and done.not_annotated == {}
    assert read_json(cascade.preprocessed("mid_level") / NOT_ANNOTATED) == {}


def test_crops_leave_open_targets_out(partial):
    cascade = replace(partial[0], not_annotated={"phantom_000": ["OpticNrv_L", "Larynx"]})
    before = {path.name for path in (cascade.raw("small_hard") / "labelsTr").iterdir()}
    write_crops(cascade, DEFAULT_PLANS, lambda text: None)
    crops = {path.name for path in (cascade.raw("small_hard") / "labelsTr").iterdir()}
    target = HN42.by_name["OpticNrv_L"].target
    assert before - crops == {f"phantom_000__{target}.nii.gz"}
    open_organs = [organ.name for organ in HN42.targets[target]]
    table = read_json(cascade.preprocessed("small_hard") / NOT_ANNOTATED)
    assert table and all(crop.startswith("phantom_000__") and names == ["OpticNrv_L"] for crop, names in table.items())
    classes = [name for name, _ in branch_labels(cascade, "small_hard")]
    values = [classes.index(name) + 1 for name in open_organs]
    for name in crops:
        if name.startswith("phantom_000__"):
            assert not np.isin(array(cascade.raw("small_hard") / "labelsTr" / name), values).any()


def trainer_of(cascade, trainer, open_class, cases):
    """A trainer ready to step, in whose cases nobody drew a class."""
    plans = read_json(cascade.plans(trainer.branch, DEFAULT_PLANS))
    plans["continue_training"] = False
    dataset_json = read_json(cascade.preprocessed(trainer.branch) / "dataset.json")
    write_json(cascade.preprocessed(trainer.branch) / NOT_ANNOTATED, {case: [open_class] for case in cases})
    made = trainer(plans, CONFIGURATION, 0, dataset_json, torch.device("cpu"))
    made.initialize()
    made.on_train_start()
    return made


def finish(trainer):
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        if hasattr(loader, "_finish"):
            loader._finish()


def test_segmentation_may_predict_what_nobody_drew(cascade_copy):
    """Mass moved from the background to an open class changes nothing there, and the loss of the other case."""
    open_case, closed_case = cascade_copy.splits()[0]["train"]
    trainer = trainer_of(cascade_copy, SOARSMidLevelTrainer, "Larynx", [open_case])
    label = trainer.dataset_json["labels"]["Larynx"]
    batch = next(trainer.dataloader_train)
    keys = {"both": [open_case, closed_case], "open": [open_case] * 2, "closed": [closed_case] * 2}
    output = [torch.randn(2, len(trainer.dataset_json["labels"]), *batch["target"][0].shape[2:])] * 4
    moved = output[0].clone()
    both = moved[:, [0, label]].logsumexp(1)
    moved[:, 0], moved[:, label] = both - 20, both
    change = {}
    for name, cases in keys.items():
        trainer.mark_not_annotated({**batch, "keys": np.array(cases)}, trainer.not_annotated_in_patches)
        losses = [float(trainer.loss(o, [torch.zeros_like(t) for t in batch["target"]])) for o in (output, [moved] * 4)]
        change[name] = losses[1] - losses[0]
    assert abs(change["open"]) < 1e-4 < 1 < change["both"] < change["closed"]
    assert np.isfinite(trainer.train_step({**batch, "keys": np.array(keys["both"])})["loss"])
    finish(trainer)


@pytest.mark.parametrize("trainer", [SOARSMidLevelTrainer, SOARSDetectionTrainer])
def test_validation_counts_an_open_class_in_the_other_cases(cascade_copy, trainer):
    open_case, closed_case = cascade_copy.splits()[0]["train"]
    made = trainer_of(cascade_copy, trainer, "Larynx" if trainer is SOARSMidLevelTrainer else "Pituitary", [])
    made.network.eval()  # as in nnU-Net's validation epoch
    batch = next(made.dataloader_train)
    batch = {**batch, "data": batch["data"][[0, 0]], "target": [target[[0, 0]] for target in batch["target"]]}
    if trainer is SOARSDetectionTrainer:
        made.centers_mm = dict.fromkeys((open_case, closed_case), made.centers_mm[str(batch["keys"][0])])
    closed = made.validation_step({**batch, "keys": np.array([closed_case] * 2)})
    counts = ("tp_hard", "fp_hard", "fn_hard")
    row = int(np.argmax(sum(closed[key] for key in counts)))
    made.not_annotated = {open_case: (row + 1,)}
    opened = made.validation_step({**batch, "keys": np.array([open_case] * 2)})
    mixed = made.validation_step({**batch, "keys": np.array([open_case, closed_case])})
    others = np.arange(len(closed["tp_hard"])) != row
    for key in counts:
        assert opened[key][row] == 0 and mixed[key][row] == closed[key][row] / 2
        np.testing.assert_array_equal(mixed[key][others], closed[key][others])
    assert sum(closed[key][row] for key in counts) > 0
    # several GPUs: nnU-Net stacks the ranks' losses, of which one may have seen an open class and another none
    assert np.vstack([collate_outputs([step])["loss"] for step in (closed, opened)]).shape == (2, 1)
    assert type(opened["loss"]) is type(closed["loss"])
    finish(made)


def test_detection_learns_nothing_of_an_open_target(cascade_copy):
    cases = cascade_copy.splits()[0]["train"]
    names = list(read_json(cascade_copy.preprocessed("detection") / "dataset.json")["labels"])
    trainer = trainer_of(cascade_copy, SOARSDetectionTrainer, names[2], cases)
    trainer.train_step(next(trainer.dataloader_train))
    for conv in trainer.network.score_convs:  # the constant background has no score convolution
        assert not conv.weight.grad[1].any() and conv.weight.grad[0].any()
    finish(trainer)


def test_mirrored_patches_leave_both_sides_open_in_training_alone(cascade_copy):
    plans = read_json(cascade_copy.plans("mid_level", DEFAULT_PLANS))
    PlansFile(plans).configuration["soars"]["p_mirror"] = 1.0
    write_json(cascade_copy.plans("mid_level", DEFAULT_PLANS), plans)
    shutil.rmtree(cascade_copy.model("mid_level", DEFAULT_PLANS))
    cases = cascade_copy.splits()[0]["train"]
    trainer = trainer_of(cascade_copy, SOARSMidLevelTrainer, "Parotid_L", cases)
    labels = trainer.dataset_json["labels"]
    sides = tuple(sorted((labels["Parotid_L"], labels["Parotid_R"])))
    assert trainer.not_annotated_in_patches == {case: sides for case in cases}
    assert trainer.not_annotated == {case: (labels["Parotid_L"],) for case in cases}
    for _ in range(3):
        assert np.isfinite(trainer.train_step(next(trainer.dataloader_train))["loss"])
    finish(trainer)
