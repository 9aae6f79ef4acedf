"""Of two runs one is told who the other is; the lock goes with its process."""

import os
import signal
import subprocess
import sys

import pytest

from soars_nnunet.cascade.lock import BusyError, dataset_lock, holder, holding, take, try_to_take

HOLDS = """
import sys
from pathlib import Path
from soars_nnunet.cascade.lock import holding
sys.argv[0] = "/usr/bin/soars-plan"
with holding(Path(sys.argv[1]), "x"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / ".a.lock"


@pytest.fixture
def other(path):
    """Another process that holds the lock."""
    command = [sys.executable, "-c", HOLDS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_is_told_who_holds_it(path, other):
    with pytest.raises(
        BusyError, match=rf"^dataset A is being written by soars-plan \(process {other.pid} on .*, since"
    ):
        take(path, "dataset A")
    assert try_to_take(path) is None and str(other.pid) in holder(path)
    other.stdin.close()
    assert other.wait(timeout=60) == 0
    take(path, "dataset A").release()
    assert os.listdir(path.parent) == []


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signal")
def test_the_lock_of_a_killed_process_is_free_at_once(path, other):
    other.send_signal(signal.SIGKILL)
    assert other.wait(timeout=60) == -9 and path.is_file()
    with holding(path, "x"):
        assert f"process {os.getpid()} " in holder(path)
    assert not path.exists()


def test_a_wait_ends_with_the_other(path, other):
    other.stdin.close()
    with holding(path, "x", wait_seconds=60):
        assert other.wait(timeout=60) == 0


def test_it_is_let_go_on_failure_and_held_once_in_a_process(path):
    with pytest.raises(ZeroDivisionError), holding(path, "x"):
        with pytest.raises(BusyError):
            take(path, "x")
        1 / 0  # noqa: B018
    with holding(path, "x"):
        pass
    assert not path.exists()


def test_a_lock_that_its_holder_removed_meanwhile_is_no_lock(path, monkeypatch):
    """Between opening the file and locking it."""
    held = take(path, "x")
    opened = os.open
    calls = []

    def opening(name, *args):
        calls.append(name)
        descriptor = opened(name, *args)
        if len(calls) == 1:
            held.release()
        return descriptor

    monkeypatch.setattr(os, "open", opening)
    second = take(path, "x")
    assert len(calls) == 2 and path.exists()
    second.release()


def test_what_a_stranger_wrote_into_the_file_does_not_matter(path):
    path.parent.mkdir()
    path.write_bytes(b"\xff[")
    assert holder(path) == "another run"
    with holding(path, "x"):
        pass


def test_a_dataset_has_one_lock(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path))
    with dataset_lock("Dataset007_A"), dataset_lock("Dataset008_B"):
        with pytest.raises(BusyError, match="dataset Dataset007_A is being written by"), dataset_lock("Dataset007_A"):
            pass
    assert os.listdir(tmp_path) == []
