"""A trained branch: equal to nnU-Net's own predictor."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from conftest import OPTIONS, write_weights
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from prediction.cases import CPU, first_case

from soars_nnunet.cascade.classes import target_labels
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.raw_cases import training_cases
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.geometry.body import grown_box
from soars_nnunet.geometry.organ_centers import organ_centers_mm
from soars_nnunet.guidance.targets import annotated_labels
from soars_nnunet.networks.model_folder import ModelFolder
from soars_nnunet.planning.plan import plan
from soars_nnunet.prediction import branch_model as inference
from soars_nnunet.prediction.branch_model import BranchModel
from soars_nnunet.prediction.sliding_window import BACKGROUND_LOGIT, tiles
from soars_nnunet.prediction.tiling import DEFAULT_TILING, Tile, Tiling


@pytest.mark.parametrize("folds", [[0], [0, 1]])
@pytest.mark.parametrize("branch", ["anchor", "mid_level", "detection", "small_hard"])
def test_outputs_are_those_of_the_stock_predictor(untrained_cascade, branch, folds):
    folder = untrained_cascade.model(branch, DEFAULT_PLANS)
    data = first_case(untrained_cascade, branch)
    stock = nnUNetPredictor(
        use_mirroring=False, perform_everything_on_device=False, device=CPU, allow_tqdm=False, verbose=False
    )
    stock.initialize_from_trained_model_folder(str(folder), folds)
    model = BranchModel(ModelFolder(folder), folds, CPU)
    patch = model.configuration.patch_size
    body = None if branch == "small_hard" else model.body(data)
    box = grown_box(torch.ones_like(data[0]) if body is None else body, patch)
    expected = torch.zeros(model.num_outputs, *data.shape[1:])
    on_box = (slice(None), *box)
    expected[on_box] = stock.predict_logits_from_preprocessed_data(data[on_box].clone()).float()
    ours = model.outputs(data)
    assert ours.dtype == torch.float32
    assert expected.std() > 0.02, "the untrained networks' output should vary"
    # nnU-Net adds up in half precision: where every tile's weight is tiny, in the volume's corners, it means little
    padded, inside = pad_nd_image(data[on_box], patch, "constant", {"value": 0}, True, None)
    weight = torch.zeros(padded.shape[1:])
    for tile in tiles(weight.shape, Tile(patch, model.steps)):
        weight[tile] += compute_gaussian(tuple(patch), 1 / 8, 10, torch.float32, CPU)
    wanted = model.wanted(data, body)
    assert (wanted is None) == (branch == "small_hard")
    clear = torch.zeros_like(data[0], dtype=torch.bool)
    clear[box] = weight[inside[1:]] > 1e-3
    clear &= True if wanted is None else wanted
    assert clear.float().mean() > 0.4
    if wanted is not None:  # air around the patient is not asked for
        assert (ours[:, ~wanted].argmax(0) == 0).all() and 0 < (~wanted).float().mean() < 0.5
    torch.testing.assert_close(ours[:, clear], expected[:, clear], rtol=5e-3, atol=5e-3)


def test_folds_are_averaged_and_none_means_all(untrained_cascade):
    folder = untrained_cascade.model("anchor", DEFAULT_PLANS)
    data = first_case(untrained_cascade, "anchor")
    one, two = (BranchModel(ModelFolder(folder), [fold], CPU).outputs(data) for fold in (0, 1))
    both = BranchModel(ModelFolder(folder), None, CPU)
    assert both.folds == [0, 1]
    assert (one - two).abs().max() > 0.1
    torch.testing.assert_close(both.outputs(data), (one + two) / 2)
    assert torch.allclose(both.probabilities(data).sum(0), torch.ones(()), atol=1e-5)


@pytest.mark.parametrize("branch", ["anchor", "mid_level", "detection", "small_hard"])
def test_mirrored_prediction_treats_both_sides_alike(untrained_cascade, branch):
    data = first_case(untrained_cascade, branch)
    folder = untrained_cascade.model(branch, DEFAULT_PLANS)
    plain, both = BranchModel(ModelFolder(folder), [0], CPU), BranchModel(ModelFolder(folder), [0], CPU, mirror=True)
    classes, channels = both.mirror.classes, both.mirror.channels
    names = ["background", *list(both.dataset_json["labels"])[1:]]
    assert names[classes[names.index(next(n for n in names if n.endswith("_L")))]].endswith("_R")
    assert sorted(classes) == list(range(len(names))) and [classes[c] for c in classes] == sorted(classes)
    assert len(channels) == len(data) and channels[0] == 0
    output, swapped = both.outputs(data), both.outputs(data.flip(-1)[channels])
    torch.testing.assert_close(swapped, output.flip(-1)[classes], rtol=1e-4, atol=1e-4)
    assert (plain.outputs(data) - output).abs().max() > 0.01


def test_results_that_do_not_fit_are_held_on_the_cpu(untrained_cascade, monkeypatch):
    model = BranchModel(ModelFolder(untrained_cascade.model("anchor", DEFAULT_PLANS)), [0], CPU)
    data = first_case(untrained_cascade, "anchor")
    expected, run, tried = model.outputs(data), BranchModel._outputs, []

    def small_gpu(self, *arguments):
        tried.append(self.results.type)
        if self.results.type != "cpu":
            raise torch.OutOfMemoryError("too small")
        return run(self, *arguments)

    monkeypatch.setattr(BranchModel, "_outputs", small_gpu)
    model.results = torch.device("mps")
    torch.testing.assert_close(model.outputs(data), expected)
    assert tried == ["mps", "cpu"] and model.results.type == "mps"
    model.results = CPU
    monkeypatch.setattr(model, "_outputs", lambda *arguments: (_ for _ in ()).throw(torch.OutOfMemoryError("full")))
    with pytest.raises(torch.OutOfMemoryError, match="full"):
        model.outputs(data)


def test_prediction_starts_without_the_trainers():
    """Importing nnU-Net's trainer takes as long as everything else."""
    slow = "nnunetv2.training.nnUNetTrainer.nnUNetTrainer"
    code = f"import sys, soars_nnunet.cli.commands, soars_nnunet.prediction.files; sys.exit({slow!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("plans", [DEFAULT_PLANS, "CTOnly"])
def test_detection_knows_how_far_apart_its_training_cases_had_left_and_right(cascade_copy, plans):
    if plans != DEFAULT_PLANS:
        plan(cascade_copy, replace(OPTIONS, guidance="none", plans_name=plans), ["detection"])
        write_weights(cascade_copy, "detection", plans)
    targets = target_labels(cascade_copy)
    files = training_cases(cascade_copy.source, read_json(raw_folder() / cascade_copy.source / "dataset.json"))
    names, voxel_mm = list(targets), OPTIONS.spacing_mm[2]
    for fold, split in enumerate(cascade_copy.splits("detection")):
        model = BranchModel(ModelFolder(cascade_copy.model("detection", plans)), [fold], CPU)
        seen = set()
        for upper, lower, mm in model.sides():  # of organs that have a voxel of the network's in both cases or one
            pair, places = [names[int(row)] for row in (upper, lower)], []
            for case in split["train"]:
                labels, properties = annotated_labels(cascade_copy, case, files[case][1])
                centers_mm = organ_centers_mm(labels, [targets[name] for name in pair], properties["spacing"])
                places.append(centers_mm[0, 2] - centers_mm[1, 2])
            assert mm == pytest.approx(np.median(places), abs=voxel_mm)
            seen.add(tuple(sorted(pair)))
        assert ("Ear_L", "Ear_R") in seen
    model.folds = [0, 1]
    assert model.sides() == [[*model.sides()[0][:2], min(of[0][2] for of in model.settings.sides)]]


@pytest.mark.parametrize("branch", ["mid_level", "detection"])
def test_guided_branches_stay_within_reach_of_certain_anchors(untrained_cascade, branch):
    model = BranchModel(ModelFolder(untrained_cascade.model(branch, DEFAULT_PLANS)), [0], CPU)
    num_anchors = len(model.settings.guidance)
    assert [len(reach) for reach in model.settings.reach] == [num_anchors] * 2, "soars-plan learns it for each fold"
    data = first_case(untrained_cascade, branch)
    data[1:] = 0
    middle = [n // 2 for n in data.shape[1:]]
    data[1 : 1 + num_anchors, middle[0] - 1 : middle[0] + 1, middle[1] - 1 : middle[1] + 1, middle[2]] = 0.9
    model.settings = replace(model.settings, reach=())
    everything, body = model.outputs(data), model.body(data)
    model.settings = replace(model.settings, reach=[[[[0.0] * 3, [40.0] * 3]] * num_anchors, []])
    near, output = model.wanted(data, body), model.outputs(data)
    assert 0 < near.sum() < 0.5 * body.sum() and not (near & ~body).any()
    torch.testing.assert_close(output[:, near], everything[:, near])
    assert (output[:, ~near].argmax(0) == 0).all()
    model.tiling = Tiling("everywhere")
    assert model.wanted(data, body) is None
    model.tiling, model.folds = DEFAULT_TILING, [0, 1]  # nothing is known of the other
    assert torch.equal(model.wanted(data, body), body)
    model.folds = [0]
    assert torch.equal(model.wanted(data, body), near)
    data[1:] *= 0.5  # no anchor is certain
    assert torch.equal(model.wanted(data, body), body)


@pytest.mark.parametrize("large", [False, True])
def test_air_around_the_patient_changes_nothing(untrained_cascade, large):
    model = BranchModel(
        ModelFolder(untrained_cascade.model("anchor", DEFAULT_PLANS)), [0], CPU, Tiling("large" if large else "default")
    )
    data = first_case(untrained_cascade, "anchor")
    margin = 12  # of what is kept around the body, and what a box grows by, there is enough in both
    near, far = (torch.nn.functional.pad(data, (air, air + 3, air, air, air, air)) for air in (margin, 2 * margin))
    inside = (slice(None), *(slice(margin, margin + width) for width in near.shape[1:]))
    assert torch.equal(model.outputs(far)[inside], model.outputs(near))


@pytest.mark.parametrize("branch", ["anchor", "detection"])
def test_everywhere_means_all_of_the_patients_box(untrained_cascade, branch):
    model = BranchModel(ModelFolder(untrained_cascade.model(branch, DEFAULT_PLANS)), [0], CPU, Tiling("everywhere"))
    data = first_case(untrained_cascade, branch)
    data = torch.nn.functional.pad(data, (12, 12, 12, 12, 12, 12))
    data[0, :40, :, 60:] = 0  # a part of the patient that is smaller: its rectangle is, too
    body = model.body(data)
    box = grown_box(body, model.configuration.patch_size)
    around = torch.ones_like(body)
    around[box] = False
    output = model.outputs(data)
    assert around.any() and (output[0, around] == BACKGROUND_LOGIT).all() and (output[1:, around] == 0).all()
    assert (output[0][box] != BACKGROUND_LOGIT).all() and not body[box].all()
    model.tiling = DEFAULT_TILING
    assert (model.outputs(data)[0, ~body] == BACKGROUND_LOGIT).all()


def test_large_tiles_are_laid_over_what_the_anchors_reach(untrained_cascade):
    model = BranchModel(ModelFolder(untrained_cascade.model("mid_level", DEFAULT_PLANS)), [0], CPU, Tiling("large"))
    num_anchors = len(model.settings.guidance)
    data = first_case(untrained_cascade, "mid_level")
    data[1:] = 0
    middle = [n // 2 for n in data.shape[1:]]
    data[1:, middle[0] - 1 : middle[0] + 1, middle[1] - 1 : middle[1] + 1, middle[2]] = 0.9
    model.settings = replace(model.settings, reach=[[[[0.0] * 3, [100.0] * 3]] * num_anchors])
    body = model.body(data)
    near = model.wanted(data, body)
    box = grown_box(near, model.configuration.patch_size)
    assert 0 < near.sum() < body.sum() and data[0][box].numel() < data[0].numel()
    output = model.outputs(data)
    with torch.inference_mode():
        expected = model.networks[0](data[(slice(None), *box)][None])[0]
    torch.testing.assert_close(output[(slice(None), *box)][:, near[box]], expected[:, near[box]])
    assert (output[0, ~near] == BACKGROUND_LOGIT).all()


def test_large_tiles_are_whole_volumes_cut_to_the_patient(untrained_cascade, monkeypatch):
    model = BranchModel(ModelFolder(untrained_cascade.model("anchor", DEFAULT_PLANS)), [0], CPU, Tiling("large"))
    data = first_case(untrained_cascade, "anchor")
    data[:, :6] = data[:, :, :5] = 0  # air
    wanted = model.wanted(data, model.body(data))
    box = grown_box(wanted, model.configuration.patch_size)
    assert data[0][box].numel() < data[0].numel()
    output = model.outputs(data)
    with torch.inference_mode():
        expected = model.networks[0](data[(slice(None), *box)][None])[0]
    torch.testing.assert_close(output[(slice(None), *box)][:, wanted[box]], expected[:, wanted[box]])
    assert (output[:, ~wanted].argmax(0) == 0).all()
    for branch in ("detection", "small_hard"):
        other = BranchModel(ModelFolder(untrained_cascade.model(branch, DEFAULT_PLANS)), [0], CPU, Tiling("large"))
        assert other.tile((90, 90, 90)).shape == other.configuration.patch_size
    monkeypatch.setattr(inference, "MAX_TILE_VOXELS", 20**3)
    assert np.prod(model.tile(data.shape[1:]).shape) <= 20**3
    assert not torch.equal(model.outputs(data), output), "tiles see less around them"
