"""Folds and weights of a model folder, which may be damaged or of somebody else."""

import os
import shutil

import pytest
import torch
from prediction.cases import CPU

from soars_nnunet.cascade.record import CHECKPOINT, DEFAULT_PLANS
from soars_nnunet.cascade.storage import file_hash
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.prediction.branch_model import BranchModel
from soars_nnunet.prediction.model_folder import checkpoint_hashes, choose_folds, load_weights


class RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("key", ["network_weights", "logging", "_best_ema"])
def test_loading_runs_no_code(model_copy, tmp_path, key):
    proof, path = tmp_path / "executed", model_copy / "fold_0" / CHECKPOINT
    checkpoint = torch.load(path, weights_only=False)
    torch.save({**checkpoint, key: RunsCode(proof)}, path)
    with pytest.raises(MissingArtifactError, match="fold_0") as refused:
        BranchModel(model_copy, [0], CPU)
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
        BranchModel(model_copy, None, CPU)
    assert "\n" not in str(refused.value)


def test_weights_of_another_network_are_refused(model_copy, untrained_cascade):
    other = untrained_cascade.model("mid_level", DEFAULT_PLANS) / "fold_0" / CHECKPOINT
    shutil.copyfile(other, model_copy / "fold_0" / CHECKPOINT)
    with pytest.raises(MissingArtifactError, match="fold_0.*another network's") as refused:
        BranchModel(model_copy, [0], CPU)
    assert "\n" not in str(refused.value)


def test_missing_folds_and_folders_are_named(model_copy, tmp_path):
    with pytest.raises(MissingArtifactError, match=r"fold\(s\) \[3\] are not trained, only \[0, 1\]"):
        BranchModel(model_copy, [0, 3], CPU)
    shutil.rmtree(model_copy / "fold_0")
    (model_copy / "fold_1" / CHECKPOINT).rename(model_copy / "fold_1" / "checkpoint_latest.pth")
    for folder in (model_copy, tmp_path / "nowhere"):
        with pytest.raises(MissingArtifactError, match="no trained fold"):
            BranchModel(folder, None, CPU)


def test_folds_are_those_asked_for_or_all(model_copy):
    assert choose_folds(model_copy, None) == [0, 1]
    assert choose_folds(model_copy, (1,)) == [1]
    with pytest.raises(MissingArtifactError, match=r"fold\(s\) \[\] are not trained, only \[0, 1\]"):
        choose_folds(model_copy, [])


def test_weights_are_told_apart_by_their_hashes(model_copy):
    first, second = checkpoint_hashes(model_copy, [0, 1])
    assert first != second and checkpoint_hashes(model_copy, [1]) == [second]
    assert first == file_hash(model_copy / "fold_0" / CHECKPOINT)


def test_a_loaded_network_is_the_trained_one_and_ready_to_run(model_copy):
    model = BranchModel(model_copy, [0], CPU)
    channels, arguments = model.settings.num_channels, model.configuration.network_arch_init_kwargs
    plain = PHNN(channels, model.num_outputs, **arguments, deep_supervision=False).eval()
    weights = torch.load(model_copy / "fold_0" / CHECKPOINT, weights_only=False)["network_weights"]
    plain.load_state_dict(weights)
    new = PHNN(channels, model.num_outputs, **arguments, deep_supervision=False)
    loaded = load_weights(model_copy, 0, new, CPU)
    assert not loaded.training
    data = torch.randn(1, channels, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(loaded(data), plain(data), rtol=1e-4, atol=1e-4)
