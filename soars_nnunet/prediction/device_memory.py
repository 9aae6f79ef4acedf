"""What happens where a GPU does not hold what is asked of it: once more, with less on it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

import torch

Result = TypeVar("Result")


class HoldsResults(Protocol):
    """Something whose networks run on one device and whose inputs and results lie on ``results``."""

    results: torch.device


def retry_out_of_memory(run: Callable[[], Result], retry: Callable[[], Result], *, can_help: bool) -> Result:
    """Result of a run, or of ``retry`` where a GPU does not hold what the run allocates.

    Args:
        run: Allocates memory on a GPU.
        retry: Does the same after making room, or elsewhere. All that the run allocated is let go before it starts.
        can_help: Whether a retry can help at all; if not, the run's error is raised.

    Raises:
        torch.OutOfMemoryError: If nothing helps.
    """
    try:
        return run()
    except torch.OutOfMemoryError:
        if not can_help:
            raise
    return retry()  # not in the handler: its traceback keeps what was allocated


def fall_back_to_cpu(run: Callable[[], Result], models: Collection[HoldsResults]) -> Result:
    """Result of a run; repeated with inputs and results of all models on the CPU if a GPU does not hold them.

    Args:
        run: Runs the models' networks.
        models: Whose networks it runs; they run where they did in both tries.

    Raises:
        torch.OutOfMemoryError: If a GPU does not even hold the networks and their tiles, or all was on the CPU.
    """

    def retry() -> Result:
        with results_on_cpu(models):
            return run()

    held_on_cpu = all(model.results.type == "cpu" for model in models)
    return retry_out_of_memory(run, retry, can_help=not held_on_cpu)


@contextmanager
def results_on_cpu(models: Collection[HoldsResults]) -> Iterator[None]:
    """Within it the networks run where they do, but inputs and results are held on the CPU."""
    torch.cuda.empty_cache()
    before = [model.results for model in models]
    for model in models:
        model.results = torch.device("cpu")
    try:
        yield
    finally:
        for model, device in zip(models, before, strict=True):
            model.results = device
