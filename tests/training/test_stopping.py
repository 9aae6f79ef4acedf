"""A training that is told to end does so in one line, and its workers with it."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from soars_nnunet.training.stopping import end_quietly_when_told

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

TRAINS = """
import multiprocessing, os, signal, sys, time
# not ignored, as where the tests themselves run in the background of a script
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGTERM", "SIGHUP"): signal.signal(getattr(signal, name), signal.SIG_DFL)
sys.argv[0] = "/usr/bin/nnUNetv2_train"
from soars_nnunet.training.stopping import end_quietly_when_told
end_quietly_when_told()
def work():
    print(os.getpid(), flush=True)
    time.sleep(120)
worker = multiprocessing.get_context("fork").Process(target=work, daemon=True)
worker.start()
time.sleep(100)
"""


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130), ("SIGHUP", 129), ("SIGKILL", -9)])
def test_it_ends_in_one_line_and_its_worker_too(name, code):
    command = [sys.executable, "-c", TRAINS]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as training:
        worker = psutil.Process(int(training.stdout.readline()))
        training.send_signal(getattr(signal, name))
        _, said = training.communicate(timeout=60)
    assert training.returncode == code
    line = "" if name == "SIGKILL" else f"{name}: the training ends; go on with the same command and --c\n"
    assert said == line
    if name == "SIGKILL" and sys.platform != "linux":
        worker.kill()
    deadline = time.monotonic() + 20
    while worker.is_running() and worker.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "the worker is left behind"
        time.sleep(0.05)


def test_a_worker_that_is_told_alone_ends_as_if_nothing_were_set():
    code = TRAINS.replace("time.sleep(100)\n", "worker.join(); sys.exit(-worker.exitcode)\n")
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as one:
        os.kill(int(one.stdout.readline()), signal.SIGTERM)
        _, said = one.communicate(timeout=60)
    assert (one.returncode, said) == (signal.SIGTERM, "")


def test_other_programs_keep_their_signals():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    end_quietly_when_told()
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
