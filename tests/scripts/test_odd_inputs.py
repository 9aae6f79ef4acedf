"""scripts/odd_inputs.py: which inputs there are, and how their outcomes are judged."""

import json
import os
import time

import pytest

from scripts.odd_inputs import (
    ABORT,
    ACCEPTED,
    CLEAR,
    HANG,
    OUTSIDE,
    TERMINAL,
    TRACEBACK,
    UNCLEAR,
    WRONG,
    Running,
    ended,
    judged,
    outcome_of,
    start,
    summary,
)
from scripts.odd_tables import OPTIONS, SETTINGS, OddInput, all_inputs, exchange, places_in
from soars_nnunet.cli.commands import COMMANDS


def test_there_are_many_inputs_of_all_commands():
    inputs = all_inputs()
    names = [odd.name for odd in inputs]
    assert len(inputs) >= 800 and len(set(names)) == len(names)
    modules = {command.module for command in COMMANDS.values()}
    assert {odd.words[0] for odd in inputs} <= modules
    assert {odd.words[0] for odd in inputs} >= modules - {"info", "env", "cross_validate"}
    assert sum(odd.refused for odd in inputs) > 400 and len(OPTIONS) + len(SETTINGS) > 100


@pytest.mark.parametrize(
    ("code", "stderr", "refused", "outcome"),
    [
        (2, "a line\nerror: x.json: expected a list, got 3; correct it\n", True, CLEAR),
        (2, "usage: soars-x\nsoars-x: error: argument -o: expected a path, got an empty text\n", True, CLEAR),
        (2, "error: 'NoneType' object is not subscriptable\n", True, UNCLEAR),
        (2, "error: embedded null byte\n", True, UNCLEAR),
        (2, "", True, UNCLEAR),
        (3, "error: x.json: expected a list, got 3; correct it\n", True, UNCLEAR),
        (0, "", True, WRONG),
        (0, "", False, ACCEPTED),
        (1, "Traceback (most recent call last):\nKeyError: 'a'\n", True, TRACEBACK),
        (1, "", True, TRACEBACK),
        (2, "error: a\x1b[31m: expected a name; give another\n", True, TERMINAL),
        (-6, "", True, ABORT),
        (None, "", True, HANG),
    ],
)
def test_outcomes(code, stderr, refused, outcome):
    assert outcome_of(code, "", stderr, refused) == outcome


def test_values_are_exchanged_by_a_fixed_draw(tmp_path):
    data = {"a": [1, {"b": 2}], "c": "x"}
    assert list(places_in(data)) == [("a",), ("a", 0), ("a", 1), ("a", 1, "b"), ("c",)]
    path = tmp_path / "x.json"
    found = set()
    for _ in range(2):
        path.write_text(json.dumps(data))
        exchange(path, 3, None)
        found.add(path.read_text())
    assert len(found) == 1 and json.loads(found.pop()) != data


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_process_an_input(tmp_path):
    rows = []
    for number, (words, change) in enumerate(
        [
            (("phantom", "--shape", "1", "1", "1"), None),
            (("env",), None),
            (("env",), lambda root: (root.parent / "written").touch()),
            (("env",), lambda root: time.sleep(60)),
            (("env",), lambda root: 1 / 0),
        ]
    ):
        one = Running(OddInput(str(number), words, change, refused=True), tmp_path / str(number), time.monotonic())
        one.root.mkdir(parents=True)
        process = start(one)
        done = []
        while not done:
            done = ended({process: one}, limit=30 if number != 3 else 0.5)
            time.sleep(0.05)
        rows.append(judged(one, done[0][1]))
    assert [row["outcome"] for row in rows] == [CLEAR, WRONG, OUTSIDE, HANG, TRACEBACK]
    assert "| all | 1 | 0 | 0 | 1 | 1 | 0 | 1 | 1 | 0 |" in summary(rows)
