"""A forked worker that is told to end does so, at whatever moment."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")

FORKS = """
import os, signal, sys, time
from soars_nnunet.cascade.forked import keep_in_workers, reset_in_workers

def handle(number, frame):
    raise KeyboardInterrupt

signal.signal(signal.SIGTERM, handle)
reset_in_workers([signal.SIGTERM])
for _ in range(60):
    child = os.fork()
    if not child:
        time.sleep(60)
        os._exit(7)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM, status
assert signal.getsignal(signal.SIGTERM) is handle and not signal.pthread_sigmask(signal.SIG_BLOCK, [])
keep_in_workers([signal.SIGTERM])
child = os.fork()
if not child:
    os._exit(int(signal.getsignal(signal.SIGTERM) is handle))
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
print("done")
"""


def test_no_signal_is_lost_around_a_fork():
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("done\n", "")
