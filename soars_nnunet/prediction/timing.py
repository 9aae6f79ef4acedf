"""Wall times of stages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def timed(seconds: dict[str, float], stage: str, device: torch.device) -> Iterator[None]:
    """Note a stage's wall time; a GPU finishes it first.

    Args:
        seconds: Wall times by stage, to which this one is added.
        stage: Its name.
        device: Where the stage runs.
    """
    start = time.perf_counter()
    yield
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    seconds[stage] = time.perf_counter() - start
