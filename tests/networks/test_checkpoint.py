"""Checkpoints of nnU-Net are read; code in them is not run."""

import os
import pickle

import numpy as np
import pytest
import torch

from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.networks.checkpoint import load_checkpoint


def test_what_nnunet_stores_comes_back(tmp_path):
    stored = {
        "network_weights": {"a": torch.arange(4.0)},
        "logging": {"ema_fg_dice": [np.float64(0.5), np.float32(0.25)], "epochs": np.int64(3), "done": np.bool_(True)},
        "_best_ema": np.float64(0.5),
        "init_args": {"fold": 0, "plans": {"spacing": [1.0, 2.0]}},
        "inference_allowed_mirroring_axes": None,
    }
    torch.save(stored, tmp_path / "checkpoint_final.pth")
    loaded = load_checkpoint(tmp_path / "checkpoint_final.pth")
    assert torch.equal(loaded.pop("network_weights")["a"], stored.pop("network_weights")["a"])
    assert loaded == stored


class Malicious:
    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("protocol", ["torch", "pickle"])
def test_code_is_not_run(tmp_path, protocol):
    path, trace = tmp_path / "checkpoint.pth", tmp_path / "trace"
    data = {"network_weights": {}, "logging": Malicious(f"touch {trace}")}
    if protocol == "torch":
        torch.save(data, path)
    else:
        path.write_bytes(pickle.dumps(data))
    with pytest.raises(MissingArtifactError, match="expected an nnU-Net checkpoint, got an unreadable or damaged file"):
        load_checkpoint(path)
    assert not trace.exists()


@pytest.mark.parametrize("content", [None, b"", b"hello", "half", "no weights"])
def test_what_is_no_checkpoint_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "checkpoint.pth"
    if content == "no weights":
        torch.save({"epoch": 3}, path)
    elif content == "half":
        torch.save({"network_weights": {"a": torch.rand(1000)}}, path)
        path.write_bytes(path.read_bytes()[:-500])
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(MissingArtifactError, match="copy it again or retrain the fold") as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
