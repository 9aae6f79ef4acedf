"""Runs a benchmark's module again in a fresh process, so that no variant profits from what another loaded."""

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any


class DiedError(RuntimeError):
    """The process did not reach its end; the message is its exit code."""


def run_fresh(module: str, arguments: Sequence[str]) -> Any:
    """What the module prints as JSON in its last line.

    Args:
        module: Full name, such as ``scripts.benchmarks.export``.
        arguments: Of its command line.

    Raises:
        DiedError: If it fails or is killed.
    """
    command = [sys.executable, "-m", module]
    command += arguments
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise DiedError(str(done.returncode))
    return json.loads(done.stdout.splitlines()[-1])


def as_arguments(values: Sequence[Any]) -> list[str]:
    """Numbers as words of a command line."""
    return [str(value) for value in values]
