"""Wall times of stages."""

import time

import pytest
import torch

from soars_nnunet.prediction.timing import timed


def test_a_stage_is_noted_beside_those_before():
    seconds = {"check": 1.0}
    with timed(seconds, "anchor", torch.device("cpu")):
        time.sleep(0.02)
    assert list(seconds) == ["check", "anchor"] and seconds["check"] == 1.0
    assert 0.02 <= seconds["anchor"] < 10


def test_a_stage_that_fails_has_no_time():
    seconds = {}
    with pytest.raises(KeyError), timed(seconds, "anchor", torch.device("cpu")):
        raise KeyError("failed")
    assert seconds == {}


def test_a_gpu_finishes_the_stage_first(monkeypatch):
    order = []
    monkeypatch.setattr(torch.cuda, "synchronize", order.append)
    monkeypatch.setattr(time, "perf_counter", lambda: order.append("read the clock") or 0.0)
    with timed({}, "anchor", torch.device("cuda")):
        order.append("stage")
    assert order == ["read the clock", "stage", torch.device("cuda"), "read the clock"]
