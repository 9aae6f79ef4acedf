"""Once more with less on the GPU, where it does not hold what is asked of it."""

import weakref
from types import SimpleNamespace

import pytest
import torch

from soars_nnunet.prediction.device_memory import fall_back_to_cpu, results_on_cpu, retry_out_of_memory

GPU, CPU = torch.device("cuda"), torch.device("cpu")


class Allocated:
    """Something large."""


def test_a_run_that_fits_is_not_repeated():
    assert retry_out_of_memory(lambda: 7, lambda: pytest.fail("ran again"), can_help=True) == 7


def test_what_the_run_allocated_is_let_go_before_the_retry():
    held = []

    def run():
        large = Allocated()
        held.append(weakref.ref(large))
        raise torch.OutOfMemoryError("full")

    def retry():
        assert held[0]() is None, "the first try still holds its memory"
        return 8

    assert retry_out_of_memory(run, retry, can_help=True) == 8


def test_without_hope_the_error_goes_on():
    def run():
        raise torch.OutOfMemoryError("full")

    with pytest.raises(torch.OutOfMemoryError, match="full"):
        retry_out_of_memory(run, lambda: pytest.fail("ran again"), can_help=False)


def test_other_errors_are_not_retried():
    with pytest.raises(KeyError):
        retry_out_of_memory(lambda: {}["a"], lambda: pytest.fail("ran again"), can_help=True)


def test_results_are_held_on_the_cpu_only_meanwhile():
    models = [SimpleNamespace(results=GPU), SimpleNamespace(results=CPU)]
    with pytest.raises(KeyError), results_on_cpu(models):
        assert [model.results for model in models] == [CPU, CPU]
        raise KeyError("whatever")
    assert [model.results for model in models] == [GPU, CPU]


@pytest.mark.parametrize("devices", [(GPU, GPU), (GPU, CPU)])
def test_a_run_is_repeated_with_results_on_the_cpu(devices):
    models = [SimpleNamespace(results=device) for device in devices]
    tried = []

    def run():
        tried.append(tuple(model.results for model in models))
        if tried[-1] != (CPU, CPU):
            raise torch.OutOfMemoryError("full")
        return 9

    assert fall_back_to_cpu(run, models) == 9
    assert tried == [devices, (CPU, CPU)]
    assert tuple(model.results for model in models) == devices


def test_what_is_on_the_cpu_already_is_not_repeated():
    tried = []

    def run():
        tried.append(1)
        raise torch.OutOfMemoryError("full")

    with pytest.raises(torch.OutOfMemoryError):
        fall_back_to_cpu(run, [SimpleNamespace(results=CPU)])
    assert tried == [1]
