"""Folds and weights of a model folder, which may be damaged or of somebody else."""

import os
import shutil

import pytest
import torch

from soars_nnunet.cascade.record import CHECKPOINT, DEFAULT_PLANS, POSTPROCESSING
from soars_nnunet.cascade.storage import file_hash, read_json, write_json
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.model_folder import ModelFolder, TrainedCascade
from soars_nnunet.prediction.branch_model import BranchModel


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


CPU = torch.device("cpu")


@pytest.mark.parametrize("key", ["network_weights", "logging", "_best_ema"])
def test_loading_runs_no_code(model_copy, tmp_path, key):
    proof, path = tmp_path / "executed", model_copy / "fold_0" / CHECKPOINT
    checkpoint = torch.load(path, weights_only=False)
    torch.save({**checkpoint, key: RunsCode(proof)}, path)
    with pytest.raises(MissingArtifactError, match="fold_0") as refused:
        BranchModel(ModelFolder(model_copy), [0], CPU)
    assert "\n" not in str(refused.value)
    assert not proof.exists()
    torch.load(path, weights_only=False)
    assert proof.exists(), "the checkpoint would have run code"


@pytest.mark.parametrize("kept", [0, 10, 0.5, 0.99])
def test_truncated_checkpoint_is_named(model_copy, kept):
    path = model_copy / "fold_1" / CHECKPOINT
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else kept])
    with pytest.raises(MissingArtifactError, match=f"fold_1/{CHECKPOINT}.*copy it again") as refused:
        BranchModel(ModelFolder(model_copy), None, CPU)
    assert "\n" not in str(refused.value)


def test_weights_of_another_network_are_refused(model_copy, untrained_cascade):
    other = untrained_cascade.model("mid_level", DEFAULT_PLANS) / "fold_0" / CHECKPOINT
    shutil.copyfile(other, model_copy / "fold_0" / CHECKPOINT)
    with pytest.raises(MissingArtifactError, match="fold_0.*another network's") as refused:
        BranchModel(ModelFolder(model_copy), [0], CPU)
    assert "\n" not in str(refused.value)


def test_missing_folds_and_folders_are_named(model_copy, tmp_path):
    with pytest.raises(MissingArtifactError, match=r"fold\(s\) \[3\] are not trained, only \[0, 1\]"):
        BranchModel(ModelFolder(model_copy), [0, 3], CPU)
    shutil.rmtree(model_copy / "fold_0")
    (model_copy / "fold_1" / CHECKPOINT).rename(model_copy / "fold_1" / "checkpoint_latest.pth")
    for folder in (model_copy, tmp_path / "nowhere"):
        with pytest.raises(MissingArtifactError, match="no trained fold"):
            BranchModel(ModelFolder(folder), None, CPU)


def test_folds_are_those_asked_for_or_all(model_copy):
    assert ModelFolder(model_copy).choose_folds(None) == [0, 1]
    assert ModelFolder(model_copy).choose_folds((1,)) == [1]
    with pytest.raises(MissingArtifactError, match=r"fold\(s\) \[\] are not trained, only \[0, 1\]"):
        ModelFolder(model_copy).choose_folds([])


def test_weights_are_told_apart_by_their_hashes(model_copy):
    first, second = ModelFolder(model_copy).fingerprint([0, 1])
    assert first != second and ModelFolder(model_copy).fingerprint([1]) == [second]
    assert first == file_hash(model_copy / "fold_0" / CHECKPOINT)


def test_a_trained_cascade_has_the_branches_and_the_decision_beside_its_manifest(cascade_copy):
    path = cascade_copy.manifest(DEFAULT_PLANS)
    cascade = TrainedCascade(path)
    assert cascade.bundle is None and cascade.postprocessing() is None
    branch = cascade.branch("anchor")
    assert branch.folder == cascade_copy.model("anchor", DEFAULT_PLANS).resolve() and branch.name == branch.folder.name
    assert branch.dataset_json == read_json(branch.folder / "dataset.json") and branch.where == str(branch.folder)
    write_json(path.with_name(POSTPROCESSING), {"largest_part": ["Larynx"], "models": {}})
    assert cascade.postprocessing() == {"largest_part": ["Larynx"], "models": {}}
    with pytest.raises(KeyError):
        cascade.branch("nobody")
