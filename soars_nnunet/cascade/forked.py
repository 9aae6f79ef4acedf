"""Forked workers end by signals as if their parent had no handlers for them. Importing this loads nothing else.

A worker inherits handlers, and Python forgets signals that come while it forks. So a worker that is told to end right
after its start would wait for ever, and its parent for it.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterable
from functools import cache

_handled: set[int] = set()
_of_thread = threading.local()


def reset_in_workers(numbers: Iterable[int]) -> None:
    """From now on have forked processes take the system's action at these signals."""
    _handled.update(numbers)
    if hasattr(os, "register_at_fork"):
        _register()


def keep_in_workers(numbers: Iterable[int]) -> None:
    """From now on have forked processes inherit the handlers of these signals again."""
    _handled.difference_update(numbers)


@cache
def _register() -> None:
    os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_reset)


def _block() -> None:
    """Have signals wait until the fork is over: the child's own then reach the child."""
    _of_thread.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _handled)


def _unblock() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _of_thread.mask)


def _reset() -> None:
    for number in _handled:
        if callable(signal.getsignal(number)):
            signal.signal(number, signal.SIG_DFL)
    _unblock()
