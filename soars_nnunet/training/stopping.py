"""A training that is told to end says one line and ends its workers; one that is killed leaves none behind."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from functools import cache
from pathlib import Path
from types import FrameType

from soars_nnunet.cascade.forked import reset_in_workers

TOLD = ("SIGINT", "SIGTERM", "SIGHUP")
"""Signals that end a training, as far as the system has them."""

OFFSET = 128
"""Added to a signal's number, it is the exit code, as shells have it."""

SET_PARENT_DEATH_SIGNAL = 1
"""Linux's ``PR_SET_PDEATHSIG``."""


def end_quietly_when_told() -> None:
    """Let signals end nnU-Net's command without a traceback; does nothing in other programs."""
    if not Path(sys.argv[0]).name.startswith("nnUNetv2_") or threading.current_thread() is not threading.main_thread():
        return
    for name in TOLD:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _Ending())
            reset_in_workers([number])
    workers_end_with_this_process()


class _Ending:
    """Signal handler."""

    def __init__(self) -> None:
        self.told = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """End.

        Raises:
            SystemExit: Once.
        """
        if not self.told:
            self.told = True
            line = f"{signal.Signals(number).name}: the training ends; go on with the same command and --c\n"
            os.write(2, line.encode())
            raise SystemExit(OFFSET + number)


@cache
def workers_end_with_this_process() -> None:
    """Have Linux end the processes that are forked from now on when this one ends, however it does."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)  # before the fork, as loading in a child may wait for ever
        os.register_at_fork(after_in_child=lambda: libc.prctl(SET_PARENT_DEATH_SIGNAL, signal.SIGKILL))
