"""Weights that are not those of the training: flipped bits, NaN, another fold's, another network's labels."""

import shutil

import numpy as np
import pytest
import torch

from soars_nnunet.cascade.manifest import Manifest, record_weights, write_manifest
from soars_nnunet.cascade.record import CHECKPOINT, DEFAULT_PLANS
from soars_nnunet.cascade.storage import file_hash, read_json, write_json
from soars_nnunet.cli import cascade_predict
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.checkpoint import load_checkpoint, require_sound
from soars_nnunet.networks.model_folder import ModelFolder, TrainedCascade
from soars_nnunet.prediction.branch_model import BranchModel
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor

CPU = torch.device("cpu")


def change(path, edit):
    """Write a checkpoint back with other content."""
    checkpoint = torch.load(path, weights_only=False)
    edit(checkpoint)
    torch.save(checkpoint, path)


@pytest.mark.parametrize("seed", range(12))
def test_one_flipped_bit_of_the_weights_is_noticed_without_a_record(model_copy, seed):
    path = model_copy / "fold_0" / CHECKPOINT
    content = path.read_bytes()
    kernel = load_checkpoint(path)["network_weights"]["blocks.0.0.weight"].numpy().tobytes()
    start = content.index(kernel)
    bit = np.random.default_rng(seed).integers(8 * len(kernel))
    damaged = bytearray(content)
    damaged[start + bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(damaged)
    with pytest.raises(MissingArtifactError, match="fold_0/.*expected an nnU-Net checkpoint, got .*damaged"):
        ModelFolder(model_copy).weights(0)


def test_any_other_bit_is_noticed_by_the_record(model_copy):
    path = model_copy / "fold_0" / CHECKPOINT
    recorded = {0: file_hash(path)}
    ModelFolder(model_copy, recorded).weights(0)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(MissingArtifactError, match="expected the weights that its training wrote|damaged"):
        ModelFolder(model_copy, recorded).weights(0)


def test_another_fold_in_its_place_is_refused(model_copy):
    shutil.copyfile(model_copy / "fold_1" / CHECKPOINT, model_copy / "fold_0" / CHECKPOINT)
    with pytest.raises(MissingArtifactError, match=r"fold_0/.*expected the weights of fold 0, got those of fold 1"):
        BranchModel(ModelFolder(model_copy), [0], CPU)


def test_permuted_labels_of_a_model_are_refused(model_copy):
    path = model_copy / "dataset.json"
    data = read_json(path)
    (first, one), (second, two) = list(data["labels"].items())[1:3]
    data["labels"] |= {first: two, second: one}
    write_json(path, data)
    with pytest.raises(MissingArtifactError, match=r"dataset\.json.*labels\.Brainstem: expected 1, got 2"):
        BranchModel(ModelFolder(model_copy), [0], CPU)


def test_a_checkpoint_of_other_labels_than_its_folder_says_is_refused(model_copy):
    """Where manifest and dataset.json were both written anew, and the network was not trained again."""
    change(model_copy / "fold_0" / CHECKPOINT, permute_labels)
    with pytest.raises(MissingArtifactError, match=r"fold_0/.*expected a network with the labels of .*dataset\.json"):
        BranchModel(ModelFolder(model_copy), [0], CPU)


def permute_labels(checkpoint):
    labels = checkpoint["init_args"]["dataset_json"]["labels"]
    labels["Brainstem"], labels["Cerebellum"] = labels["Cerebellum"], labels["Brainstem"]


def sound():
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), torch.nn.BatchNorm3d(2))
    return {f"score_convs.{name}": tensor for name, tensor in network.state_dict().items()}


def nan(weights):
    weights["score_convs.0.weight"][0, 0, 1, 1, 1] = float("nan")


def infinite(weights):
    weights["score_convs.1.running_mean"][1] = -float("inf")


def negative(weights):
    weights["score_convs.1.running_var"][0] = -1e-3


def zero(weights):
    for tensor in weights.values():
        tensor.zero_()


def zero_scores(weights):
    weights["score_convs.0.weight"].zero_()
    weights["blocks.0.weight"] = torch.ones(2, 2)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (nan, "expected finite weights, got NaN or infinity in score_convs.0.weight"),
        (infinite, "expected finite weights, got NaN or infinity in score_convs.1.running_mean"),
        (negative, "expected variances of 0 or more"),
        (zero, "got zeros alone"),
        (zero_scores, "got zeros alone"),
    ],
)
def test_weights_that_no_network_can_learn_are_refused(edit, expected):
    weights = sound()
    require_sound(weights, "model/fold_0")
    edit(weights)
    with pytest.raises(MissingArtifactError, match=f"^model/fold_0: .*{expected}.*retrain the fold"):
        require_sound(weights, "model/fold_0")


def test_a_kernel_of_zeros_alone_is_none(model_copy):
    """As weight decay makes them, in the shipped bundle too."""
    weights = sound()
    weights["blocks.3.2.weight"] = torch.zeros(2, 2, 3, 3, 3)
    require_sound(weights, "model/fold_0")


def test_nan_is_refused_where_a_model_is_loaded(model_copy):
    change(model_copy / "fold_0" / CHECKPOINT, lambda data: first_kernel(data).flatten()[3].fill_(float("nan")))
    with pytest.raises(MissingArtifactError, match="fold_0: expected finite weights"):
        BranchModel(ModelFolder(model_copy), [0], CPU)


def first_kernel(data):
    return data["network_weights"]["blocks.0.0.weight"]


def test_plans_record_what_lies_there_and_trainings_what_they_write(cascade_copy):
    model = cascade_copy.model("small_hard", DEFAULT_PLANS)
    path = write_manifest(cascade_copy, DEFAULT_PLANS)
    recorded = Manifest.load(path).branches["small_hard"].weights
    assert recorded == {fold: file_hash(model / f"fold_{fold}" / CHECKPOINT) for fold in (0, 1)}
    change(model / "fold_1" / CHECKPOINT, lambda data: first_kernel(data).mul_(1.5))
    write_manifest(cascade_copy, DEFAULT_PLANS)
    assert Manifest.load(path).branches["small_hard"].weights == recorded, "damage does not become what is expected"
    with pytest.raises(MissingArtifactError, match=r"fold_1/.*expected the weights that its training wrote"):
        TrainedCascade(path).branch("small_hard").weights(1)
    assert record_weights(model, 1) == [path]
    TrainedCascade(path).branch("small_hard").weights(1)
    assert Manifest.load(path).branches["small_hard"].weights[0] == recorded[0]
    assert record_weights(model, 1) == [] and not list(path.parent.glob(".*"))


def test_predict_refuses_damage_and_swapped_organs_in_one_line(cascade_copy, tmp_path, capsys):
    path = cascade_copy.manifest(DEFAULT_PLANS)
    arguments = ["-i", str(next((tmp_path / "copy").rglob("imagesTs/*.nii.gz"))), "-o", str(tmp_path / "out")]
    arguments += ["-m", str(path.parent), "--device", "cpu"]
    whole = read_json(path)

    def refused(match):
        assert cascade_predict.main(arguments) == 2
        said = capsys.readouterr().err
        assert said.startswith("error: ") and said.count("\n") == 1 and match in said
        assert not (tmp_path / "out").exists()

    swapped = read_json(path)
    classes = swapped["branches"]["mid_level"]["classes"]
    classes[0], classes[1] = classes[1], classes[0]
    write_json(path, swapped)
    refused("dataset.json: 2 faults: labels.")
    write_json(path, {**whole, "branches": {**whole["branches"], "mid_level": whole["branches"]["anchor"]}})
    refused("manifest.json")
    write_json(path, whole)
    checkpoint = cascade_copy.model("anchor", DEFAULT_PLANS) / "fold_0" / CHECKPOINT
    change(checkpoint, lambda data: first_kernel(data).mul_(2))
    refused("expected the weights that its training wrote")


def test_missing_folds_are_said_and_old_manifests_load(cascade_copy):
    path = cascade_copy.manifest(DEFAULT_PLANS)
    only = PredictionOptions(organs=["Brainstem"])
    assert CascadePredictor(path, only).notes == []
    (cascade_copy.model("anchor", DEFAULT_PLANS) / "fold_1" / CHECKPOINT).unlink()
    (gone,) = CascadePredictor(path, only).notes
    assert gone.startswith("anchor: the weights of fold(s) [1] were trained and are gone")
    data = read_json(path)
    for branch in data["branches"].values():
        branch.pop("weights", None)
    write_json(path, data)
    (lacking,) = CascadePredictor(path, only).notes
    assert lacking == "anchor: averages fold(s) [0]; fold(s) [1] are not trained"
    assert CascadePredictor(path, PredictionOptions(organs=["Brainstem"], folds=[0])).notes == []


def test_anchors_in_another_order_than_a_guided_network_knows_are_refused(cascade_copy):
    path = cascade_copy.model("mid_level", DEFAULT_PLANS) / "plans.json"
    plans = read_json(path)
    guidance = plans["configurations"]["3d_fullres"]["soars"]["guidance"]
    guidance[0], guidance[1] = guidance[1], guidance[0]
    write_json(path, plans)
    with pytest.raises(MissingArtifactError, match=r"plans\.json, .*guidance"):
        CascadePredictor(cascade_copy.manifest(DEFAULT_PLANS))
