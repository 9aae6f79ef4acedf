"""scripts/kill_stress.py: what it notices of a command that was ended, tried with a small program in place of one."""

import json
import os
import signal
import sys

import pytest

from scripts.kill_stress import (
    STEPS,
    Known,
    Step,
    digests,
    run_trials,
    temporary_files,
    try_once,
    undisturbed,
    without_times,
)
from soars_nnunet.cli.commands import COMMANDS

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")

GOOD = """
import os, signal, sys, time
def end(number, frame):
    if os.path.exists(".a"):
        os.unlink(".a")
    print("terminated; finished files are kept")
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
if os.path.exists(".a"):
    os.unlink(".a")
time.sleep(0.2)
open(".a", "w").write("x")
time.sleep(0.4)
os.replace(".a", "a")
"""
BAD = {
    "leaves a temporary file": ("sys.exit(143)", "open('.b', 'w'); sys.exit(143)", "left ['.b']"),
    "says nothing": ("print(", "str(", "no message"),
    "has a traceback": ("sys.exit(143)", "1 / 0", "traceback"),
}


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Write the program that is run in place of a command, and an empty folder before it."""
    (tmp_path / "work" / "before" / "one").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    path = tmp_path / "bin" / "soars-one"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))

    def write(text):
        path.write_text(f"#!{os.path.realpath('/proc/self/exe')}\n{text}")
        path.chmod(0o755)
        return tmp_path / "work"

    return write


STEP = Step("one", ("soars-one",))


def alone(work):
    run = work / "run"
    run.mkdir(exist_ok=True)
    known = undisturbed(STEP, run, work / "log.txt")
    assert known.files.keys() == {"a"} and 0 < known.quiet_seconds < known.seconds
    return Known(known.seconds, known.quiet_seconds, known.files)


def trials(work, known, number, count):
    return [try_once(index, STEP, known, work, number) for index in range(count)]


def test_a_good_command_has_no_problems(program):
    work = program(GOOD)
    known = alone(work)
    for number in (signal.SIGKILL, signal.SIGTERM):
        done = trials(work, known, number, 4)
        assert not [trial.problems for trial in done if trial.problems and trial.code != -number]
        assert {trial.code for trial in done} <= {0, 143, -9, -15}


@pytest.mark.parametrize(("good", "bad", "expected"), BAD.values(), ids=BAD)
def test_what_is_wrong_is_noticed(program, good, bad, expected):
    work = program(GOOD.replace(good, bad))
    found = [problem for trial in trials(work, alone(work), signal.SIGTERM, 4) for problem in trial.problems]
    assert any(expected in problem for problem in found)


def test_trials_are_kept(program, capsys):
    work = program(GOOD)
    known = {"one": alone(work)}
    first = run_trials(work, [STEP], known, 2, 0)
    capsys.readouterr()
    both = run_trials(work, [STEP], known, 2, 1)
    assert both[:2] == first and capsys.readouterr().out.count("min left") == 1


def test_times_do_not_count_and_files_do(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"seconds": 1, "x": [{"created": 2, "y": 3}]}))
    before = digests(tmp_path)
    (tmp_path / "a.json").write_text(json.dumps({"seconds": 7, "x": [{"created": 8, "y": 3}]}))
    assert digests(tmp_path) == before and without_times([{"since": 1}]) == [{}]
    (tmp_path / "b").write_text("1")
    assert digests(tmp_path).keys() == {"a.json", "b"}


def test_temporary_files_are_known(tmp_path):
    for name in (".a.soars-1-2-3.json", "a.json", ".D.partial", "b.lock"):
        (tmp_path / name).touch()
    assert temporary_files(tmp_path) == [".D.partial", ".a.soars-1-2-3.json", "b.lock"]


def test_every_command_that_writes_is_tried():
    tried = {step.command[0] for step in STEPS}
    assert tried == {command.program for command in COMMANDS.values() if command.name not in ("info", "env")}
