"""Weights are those of the network in the plans; ``test_hostile.py`` has what is refused."""

import torch
from safetensors.torch import save

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.bundles.weights import LARGE, expected_tensors, read_weights, stored_dtype
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.networks.model_folder import ModelFolder


def test_tensors_are_expected_as_the_trainer_has_them(tiny_bundle, untrained_cascade):
    for key, branch in Bundle(tiny_bundle).described.branches.items():
        trained = ModelFolder(untrained_cascade.model(key, DEFAULT_PLANS)).weights(0)
        expected = expected_tensors(branch, "fp32")
        assert {name: shape for name, (_, shape) in expected.items()} == {
            name: list(tensor.shape) for name, tensor in trained.items()
        }
        assert {dtype for dtype, _ in expected.values()} == {"F32", "I64"}


def test_only_large_kernels_have_the_precision():
    large, small = torch.zeros(LARGE // 27 + 1, 1, 3, 3, 3), torch.zeros(8, 8, 3, 3, 3)
    assert stored_dtype(large, "fp16") == torch.float16 and stored_dtype(large, "fp32") == torch.float32
    assert stored_dtype(small, "fp16") == torch.float32
    assert stored_dtype(torch.zeros((), dtype=torch.int64), "fp16") == torch.int64


def test_weights_are_read_as_float32():
    tensors = {"a": torch.tensor([[1.5, -2.0]]).half(), "b": torch.tensor(7)}
    expected = {"a": ("F16", [1, 2]), "b": ("I64", [])}
    found = read_weights(save(tensors), expected, "x")
    assert found["a"].dtype == torch.float32 and found["a"].tolist() == [[1.5, -2.0]]
    assert found["b"].dtype == torch.int64 and found["b"] == 7


def test_a_header_whose_length_begins_like_a_pickle_is_none():
    """A header of 128 bytes: the first byte of the file is 0x80."""
    tensors = {"a": torch.ones(2)}
    for size in range(200):
        padded = save(tensors, metadata={"note": "x" * size})
        if padded[0] == 0x80:
            break
    assert padded[0] == 0x80
    assert read_weights(padded, {"a": ("F32", [2])}, "x")["a"].tolist() == [1, 1]
