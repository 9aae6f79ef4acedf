import logging
import os
import subprocess
import sys

import pytest

from soars_nnunet.cascade.environment import trainer_folder
from soars_nnunet.cli import stratify
from soars_nnunet.cli.command import CLOSED_PIPE, make_main, say
from soars_nnunet.errors import InputError, MissingArtifactError


def add_count(parser):
    parser.add_argument("--count", type=int, default=1)


def raising(error):
    """A command that ends with an error."""

    def run(arguments):
        raise error

    return make_main("env", add_count, run)


def test_missing_arguments_exit_with_2_too(capsys):
    with pytest.raises(SystemExit) as stop:
        stratify.main([])
    assert stop.value.code == 2
    assert "-d/--dataset" in capsys.readouterr().err


@pytest.mark.parametrize("kind", [InputError, MissingArtifactError, ValueError, FileNotFoundError])
def test_an_error_is_one_line_and_exit_code_2(capsys, kind):
    assert raising(kind("expected this,\n  found\tthat"))([]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "error: expected this, found that\n")


def test_an_interruption_has_its_exit_code(capsys):
    assert raising(KeyboardInterrupt())([]) == 130
    assert capsys.readouterr().err == "interrupted; finished files are kept\n"


def test_a_programming_error_shows_where_it_is():
    with pytest.raises(ZeroDivisionError):
        raising(ZeroDivisionError())([])


def test_the_command_gets_its_options_and_a_ready_process(caplog):
    seen = {}

    def run(arguments):
        seen.update(count=arguments.count, trainers=os.environ["nnUNet_extTrainer"])
        say("done")

    assert make_main("env", add_count, run)(["--count", "3"]) == 0
    assert seen == {"count": 3, "trainers": trainer_folder()}
    assert logging.getLogger("soars_nnunet").isEnabledFor(logging.INFO)


def test_arguments_of_the_process_are_taken_without_others(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["soars-env", "--count", "5"])
    seen = []
    assert make_main("env", add_count, lambda arguments: seen.append(arguments.count))() == 0
    assert seen == [5]


def test_another_broken_pipe_is_an_error(capsys):
    assert raising(BrokenPipeError("a worker has gone"))([]) == 2
    assert capsys.readouterr().err == "error: a worker has gone\n"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such pipes")
def test_a_reader_that_has_gone_is_no_error():
    code = "import sys, time; from soars_nnunet.cli.info import main; time.sleep(0.5); sys.exit(main([]))"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert (process.stderr.read(), process.wait(timeout=60)) == ("", CLOSED_PIPE)
