"""How a command ends that is told to: Ctrl-C, ``kill``, a closed terminal. One line, nothing half-written.

``soars_nnunet.cli`` takes over when it is imported, so that the seconds of importing are covered as well.
Importing this loads next to nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from soars_nnunet.cascade.forked import keep_in_workers, reset_in_workers

WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "hung up"}
"""Signals that end a command, as far as the system has them, and what it says then."""

OFFSET = 128
"""Added to a signal's number, it is the exit code, as shells have it."""

COMMAND_PROCESS = "MainProcess"
"""What ``multiprocessing`` calls a process that is no worker."""

POLL_SECONDS = 0.05

REPEATED_SECONDS = 2.0
"""A further signal within this time comes from the same cause, as where a process and its group get it each."""


class Stopped(KeyboardInterrupt):  # noqa: N818 - no error
    """The command is told to end."""


class Stop:
    """Whether a command is told to end, and by which signal.

    Attributes:
        number: Of the first signal; None until there is one.
        since: When it came, by the monotonic clock.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.since = 0.0

    def receive(self, number: int, frame: FrameType | None) -> None:
        """Signal handler: lets the command clean up; ends it at once if it is told again later.

        Raises:
            Stopped: At the first signal.
        """
        if self.number is None:
            self.number, self.since = number, time.monotonic()
            raise Stopped
        if time.monotonic() - self.since > REPEATED_SECONDS:
            end_at_once(number, frame)

    def end(self) -> int:
        """Say why the command ends; returns its exit code."""
        number = signal.SIGINT if self.number is None else self.number
        print(_message(number), file=sys.stderr)
        return OFFSET + number


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Context in which signals raise ``Stopped``; does nothing in other threads than the main one."""
    stop = Stop()
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _signals():
            if signal.getsignal(number) is not signal.SIG_IGN:  # as with nohup
                before[number] = signal.signal(number, stop.receive)
    reset_in_workers(before)
    try:
        yield stop
    finally:
        keep_in_workers(before)
        for number, handler in before.items():
            signal.signal(number, handler)


def take_over() -> None:
    """End quietly from now on if this is one of the commands; its workers leave Ctrl-C to it, and end when it has."""
    if not Path(sys.argv[0]).name.startswith("soars-") or threading.current_thread() is not threading.main_thread():
        return
    if multiprocessing.current_process().name != COMMAND_PROCESS:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=_end_with_command, daemon=True).start()
        return
    for number in _signals():
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, end_at_once)


def _end_with_command() -> None:
    """End a worker when its command has ended, however that was: it would wait for work for ever."""
    while (parent := multiprocessing.parent_process()) is None:  # while the worker is being started
        time.sleep(POLL_SECONDS)
    parent.join()
    os._exit(OFFSET + signal.SIGTERM)


def end_at_once(number: int, frame: FrameType | None) -> NoReturn:
    """Signal handler for when there is nothing to clean up."""
    os.write(2, f"{_message(number)}\n".encode())
    os._exit(OFFSET + number)


def _message(number: int) -> str:
    return f"{WORDS[signal.Signals(number).name]}; finished files are kept"


def _signals() -> list[int]:
    return [getattr(signal, name) for name in WORDS if hasattr(signal, name)]
