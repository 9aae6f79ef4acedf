"""What all commands share: a parser that opens with an example, logging, one line for an error, exit codes."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NoReturn

from soars_nnunet.cascade.environment import trainer_folder
from soars_nnunet.cli.commands import COMMANDS, Command
from soars_nnunet.cli.interruption import Stop, stoppable
from soars_nnunet.cli.spelling import usage_of
from soars_nnunet.schemas.printable import escaped, printable

AddArguments = Callable[[argparse.ArgumentParser], None]
Run = Callable[[argparse.Namespace], None]
Guard = Callable[[argparse.Namespace], AbstractContextManager[None]]
Main = Callable[[Sequence[str] | None], int]

BAD_INPUT = 2
"""Exit code for input that is refused; argparse uses the same."""

CLOSED_PIPE = 141
"""Exit code where the reader of the output has gone: 128 and the number of SIGPIPE."""


LONGEST = 5000
"""Signs of an error that are printed."""


class ReaderGoneError(Exception):
    """Nobody reads the command's output any more, as after ``| head``."""


def say(text: str) -> None:
    """Print a line at once, also where the output is a file or a pipe.

    Names of files and of the user are in it: signs that a terminal acts on, line ends among them, are escaped.

    Raises:
        ReaderGoneError: If nobody reads the output any more.
    """
    _print(escaped(text))


def say_text(text: str) -> None:
    """Print a text of several lines, such as a table, at once; other signs that a terminal acts on are escaped.

    Raises:
        ReaderGoneError: If nobody reads the output any more.
    """
    _print(escaped(text, kept="\n\t"))


def _print(text: str) -> None:
    try:
        print(text, flush=True)
    except BrokenPipeError as error:
        raise ReaderGoneError from error


class Parser(argparse.ArgumentParser):
    """A parser whose refusals show what the user typed without acting on the terminal."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit with 2."""
        super().error(escaped(" ".join(message.split())))


class Formatter(logging.Formatter):
    """Log lines without signs that a terminal acts on; a traceback keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return escaped(super().format(record), kept="\n\t")


def make_parser(command: Command, add_arguments: AddArguments) -> argparse.ArgumentParser:
    """Parser of a command; its help shows the example right after the usage."""
    parser = Parser(
        prog=command.program,
        description=f"example:\n  {command.example}\n\n{command.summary}\n{command.details}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser)
    parser.usage = usage_of(parser)
    return parser


def make_main(name: str, add_arguments: AddArguments, run: Run, guard: Guard | None = None) -> Main:
    """Build the function that a console script calls.

    Args:
        name: Name of the command in ``COMMANDS``.
        add_arguments: Adds the command's options to a parser.
        run: Does the work. Its ``ValueError`` or ``OSError`` becomes one line on stderr.
        guard: Makes the context that the work is done in, such as a lock of ``cli.guards``; None for none.

    Returns:
        Function of the arguments (None for those of the process) that returns the exit code: 0, ``BAD_INPUT``, or 128
        and the number of the signal that ended it. Bad options leave through argparse, with exit code 2 as well.
    """
    command = COMMANDS[name]

    def main(argv: Sequence[str] | None = None) -> int:
        arguments = make_parser(command, add_arguments).parse_args(argv)
        with stoppable() as stop:
            try:
                _set_up_process()
                with nullcontext() if guard is None else guard(arguments):
                    run(arguments)
            except KeyboardInterrupt:
                return stop.end()
            except Exception as error:
                return _exit_code(error, stop)
        return 0

    main.__name__ = command.program
    return main


def _exit_code(error: Exception, stop: Stop) -> int:
    """Say what went wrong in one line; returns the exit code.

    Raises:
        Exception: The error itself, if it is none of what a command says in one line.
    """
    if stop.number is not None:
        return stop.end()  # what a library makes of an interruption
    if isinstance(error, ReaderGoneError):
        return _quiet_end()
    if isinstance(error, MemoryError):
        print(f"error: not enough memory ({_one_line(error)}); use smaller images or free some", file=sys.stderr)
        return BAD_INPUT
    if not isinstance(error, (ValueError, OSError)):
        raise error
    print(f"error: {_one_line(error)}", file=sys.stderr)
    return BAD_INPUT


def _set_up_process() -> None:
    """Let the package's log through, and let nnU-Net find the trainers."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    for handler in logging.getLogger().handlers:
        if type(handler.formatter) is logging.Formatter:
            handler.setFormatter(Formatter("%(message)s"))
    logging.getLogger("soars_nnunet").setLevel(logging.INFO)
    os.environ["nnUNet_extTrainer"] = trainer_folder()


def _quiet_end() -> int:
    """End as other programs do where the reader of the output has gone, as ``head`` does.

    What is still to be written at exit goes nowhere, so that Python does not complain there.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return CLOSED_PIPE


def _one_line(error: Exception) -> str:
    words = str(error).split()
    return printable(" ".join(words), LONGEST)
