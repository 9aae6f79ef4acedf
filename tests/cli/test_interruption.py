"""A command that is told to end says so in one line, at whatever moment, and leaves nothing half-written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from soars_nnunet.cli.command import make_main
from soars_nnunet.cli.commands import COMMANDS
from soars_nnunet.cli.interruption import REPEATED_SECONDS, stoppable

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

SIGNALS = {"SIGINT": (130, "interrupted"), "SIGTERM": (143, "terminated"), "SIGHUP": (129, "hung up")}

HEED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGTERM", "SIGHUP"): signal.signal(getattr(signal, name), signal.SIG_DFL)
"""
"""Signals are not ignored, as they are where the tests themselves run in the background of a script."""

WRITES = """
import sys, time
from pathlib import Path
sys.argv[0] = "/usr/bin/soars-env"
from soars_nnunet.cascade.storage import replacing
from soars_nnunet.cli.command import make_main
def run(arguments):
    with replacing(Path(sys.argv[1]) / "a.nii.gz") as temporary:
        temporary.write_text("half")
        print("writing", flush=True)
        time.sleep(60)
sys.exit(make_main("env", lambda parser: parser.add_argument("folder"), run)())
"""

IMPORTS = """
import sys, time
sys.argv[0] = "/usr/bin/soars-{}"
import soars_nnunet.cli
print("imports", flush=True)
time.sleep(60)
"""


def ended_by(name, code, *arguments):
    """What a program says that gets a signal after its first line."""
    command = [sys.executable, "-c", HEED + code, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        assert process.stdout.readline()
        process.send_signal(getattr(signal, name))
        _, said = process.communicate(timeout=60)
    return process.returncode, said


@pytest.mark.parametrize("name", SIGNALS)
def test_a_command_at_work_ends_in_one_line_without_a_temporary_file(tmp_path, name):
    code, word = SIGNALS[name]
    assert ended_by(name, WRITES, str(tmp_path)) == (code, f"{word}; finished files are kept\n")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", SIGNALS)
def test_a_command_that_is_being_imported_does(name):
    code, word = SIGNALS[name]
    assert ended_by(name, IMPORTS.format("plan")) == (code, f"{word}; finished files are kept\n")


def test_other_programs_that_import_commands_keep_their_signals():
    code = IMPORTS.format("plan").replace("/usr/bin/soars-plan", "mine.py")
    returned, said = ended_by("SIGINT", code)
    assert returned in (1, -2, 130) and said.rstrip().endswith("KeyboardInterrupt")


PROGRAMS = [
    program for program in (Path(sys.executable).with_name(c.program) for c in COMMANDS.values() if c.is_script)
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_every_program_imports_the_package_of_commands_first(program):
    """So that it takes over before what loads slowly."""
    if not program.is_file():
        pytest.skip("not installed")
    name = program.name.removeprefix("soars-")
    assert f"from {COMMANDS[name].import_path} import main" in program.read_text()


WORKS = """
import concurrent.futures, multiprocessing, os, sys, time
import soars_nnunet.cli
if __name__ == "__main__":
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        time.sleep(100)
"""


def test_workers_end_with_a_command_that_is_killed(tmp_path):
    program = tmp_path / "soars-try"
    program.write_text(WORKS)
    with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as process:
        worker = psutil.Process(int(process.stdout.readline()))
        process.kill()
    worker.wait(timeout=30)  # raises if it is left


def test_a_worker_that_is_ended_says_nothing(tmp_path):
    """As by ``Pool.terminate``, where its command ends."""
    program = tmp_path / "soars-try"
    program.write_text(WORKS.replace("time.sleep(100)", "time.sleep(2)"))
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, str(program)], **pipes) as process:
        worker = int(process.stdout.readline())
        os.kill(worker, signal.SIGINT)
        os.kill(worker, signal.SIGTERM)
        assert process.communicate(timeout=60) == ("", "")


def raising(error):
    def run(arguments):
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        raise error

    return make_main("env", lambda parser: None, run)


@pytest.mark.parametrize(
    "error", [ImportError("numpy"), RuntimeError("a worker is gone"), OSError("pipe"), ValueError()]
)
def test_what_a_library_makes_of_a_signal_is_one_line_too(capsys, error):
    assert raising(error)([]) == 143
    assert capsys.readouterr().err == "terminated; finished files are kept\n"


def test_signals_are_given_back():
    before = [signal.getsignal(getattr(signal, name)) for name in SIGNALS]
    with stoppable() as stop:
        assert signal.getsignal(signal.SIGTERM) == stop.receive
    assert [signal.getsignal(getattr(signal, name)) for name in SIGNALS] == before


def test_a_signal_that_is_ignored_stays_so():
    """As under nohup, or for a job in the background of a script."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_same_signal_twice_is_one_and_later_ends_at_once(monkeypatch):
    ended = []
    monkeypatch.setattr("soars_nnunet.cli.interruption.end_at_once", lambda number, frame: ended.append(number))
    with stoppable() as stop:
        with pytest.raises(KeyboardInterrupt):
            stop.receive(signal.SIGTERM, None)
        stop.receive(signal.SIGTERM, None)
        assert not ended
        stop.since -= REPEATED_SECONDS + 1
        stop.receive(signal.SIGTERM, None)
        assert ended == [signal.SIGTERM]
