"""Which CT is worked on when, with a predictor that only keeps a log."""

import subprocess
import sys
import threading
import time
import weakref
from types import SimpleNamespace

import pytest
import SimpleITK as sitk
import torch

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.prediction import succession as succession
from soars_nnunet.prediction.memory_estimate import Needed
from soars_nnunet.prediction.memory_plan import MemoryPlan
from soars_nnunet.prediction.report import Report
from soars_nnunet.prediction.succession import Job, Succession
from soars_nnunet.progress import silent

CASES = "abc"
WAIT_S = 20


class Log:
    """Steps in the order of their beginnings and ends; one can wait for another."""

    def __init__(self):
        self.entries, self.changed = [], threading.Condition()

    def add(self, entry):
        with self.changed:
            self.entries.append(entry)
            self.changed.notify_all()

    def wait(self, entry):
        with self.changed:
            assert self.changed.wait_for(lambda: entry in self.entries, WAIT_S), f"{entry} has not begun"


def report_of(case):
    return Report(
        case=case,
        profile="hn42",
        labels={},
        organs={},
        targets={},
        largest_part=[],
        warnings=[],
        models={},
        provenance={},
        seconds={},
    )


class Predictor:
    """Networks that do not end before the next CT is prepared and the last one's export has begun."""

    def __init__(self, log, beside):
        self.log, self.beside = log, beside

    def infer(self, scan):
        self.log.add(f"infer {scan.name}")
        index = CASES.index(scan.name)
        if self.beside and index < len(CASES) - 1:
            self.log.wait(f"read {CASES[index + 1]}")
        if self.beside and index:
            self.log.wait(f"export {CASES[index - 1]}")
        self.log.add(f"inferred {scan.name}")
        return SimpleNamespace(name=scan.name, image=scan.image)

    def export(self, scan):
        index = CASES.index(scan.name)
        self.log.add(f"export {scan.name}")
        if self.beside and index < len(CASES) - 1:
            self.log.wait(f"infer {CASES[index + 1]}")
        self.log.add(f"exported {scan.name}")
        return scan.image * 0, report_of(scan.name)


@pytest.fixture
def jobs(untrained_cascade, tmp_path):
    ct = raw_folder() / untrained_cascade.source / "imagesTs" / "phantom_004_0000.nii.gz"
    return [Job(f"{case}:", case, ct, tmp_path / f"{case}.nii.gz", tmp_path / f"{case}.json") for case in CASES]


def run(jobs, monkeypatch, beside):
    log, lines = Log(), []
    read_ct, names = succession.read_ct, iter(CASES)
    monkeypatch.setattr(succession, "read_ct", lambda path: log.add(f"read {next(names)}") or read_ct(path))
    needed = dict.fromkeys(CASES, Needed(1, 1, 1))
    memory = MemoryPlan(needed, {}, None if beside else 0.0, 0)
    assert memory.side_by_side is beside
    Succession(Predictor(log, beside), memory, {"inference": 0}, False, lines.append).run(jobs)
    for job in jobs:
        assert sitk.ReadImage(str(job.labels)).GetSize() and read_json(job.report)["case"] == job.case
    return log.entries, lines


def test_the_next_is_prepared_and_the_last_exported_while_networks_run(jobs, monkeypatch):
    entries, lines = run(jobs, monkeypatch, True)
    for first, second in zip(CASES, CASES[1:], strict=False):
        assert entries.index(f"read {second}") < entries.index(f"inferred {first}")
        assert entries.index(f"infer {second}") < entries.index(f"exported {first}")
    assert entries.index("export a") < entries.index("export b") < entries.index("export c")
    assert [line.strip()[0] for line in lines] == ["a", "b", "a", "c", "b", "c"]


def test_without_room_one_comes_after_the_other(jobs, monkeypatch):
    entries, _ = run(jobs, monkeypatch, False)
    steps = ("read", "infer", "inferred", "export", "exported")
    assert entries == [f"{step} {case}" for case in CASES for step in steps]


@pytest.mark.parametrize("room", [True, False])
def test_a_case_waits_for_an_export_if_memory_has_gone_meanwhile(jobs, monkeypatch, room):
    class Slow(Predictor):
        def export(self, scan):
            time.sleep(0.3)
            return super().export(scan)

    log = Log()
    memory = MemoryPlan(dict.fromkeys(CASES, Needed(1, 1, 1)), {}, None, 0)
    assert memory.side_by_side
    further = (lambda self, case, exported="": 0) if room else (lambda self, case, exported="": bool(exported) * 2**60)
    monkeypatch.setattr(MemoryPlan, "further", further)
    Succession(Slow(log, False), memory, {}, False, silent).run(jobs)
    for first, second in zip(CASES, CASES[1:], strict=False):
        assert (log.entries.index(f"exported {first}") < log.entries.index(f"infer {second}")) is not room


def test_a_case_for_which_too_little_is_left_is_refused(jobs, monkeypatch):
    memory = MemoryPlan(dict.fromkeys(CASES, Needed(1, 1, 1)), {}, None, 0)
    assert memory.side_by_side
    monkeypatch.setattr(MemoryPlan, "further", lambda self, case, exported="": (case == "b") * 2**60)
    run = Succession(Predictor(Log(), False), memory, {}, False, silent)
    run.run(jobs)
    assert list(run.failed) == ["b"] and "b: expected to need" in run.failed["b"]
    assert jobs[0].labels.is_file() and jobs[2].labels.is_file()


def test_a_gpu_that_does_not_hold_two_cases_gets_one(jobs):
    """Its memory is not estimated: the networks are run again when the last case has left it."""
    exporting = threading.Event()

    class SmallGPU(Predictor):
        def infer(self, scan):
            if exporting.is_set():
                raise torch.OutOfMemoryError("two cases")
            return super().infer(scan)

        def export(self, scan):
            time.sleep(0.3)
            exporting.clear()
            return super().export(scan)

    class Run(Succession):
        def infer(self, job, preparing, others):
            if others:
                exporting.set()
            return super().infer(job, preparing, others)

    log = Log()
    memory = MemoryPlan(dict.fromkeys(CASES, Needed(1, 1, 1)), {}, None, 0)
    run = Run(SmallGPU(log, False), memory, {}, False, silent)
    run.run(jobs)
    assert not run.failed and all(job.labels.is_file() for job in jobs)
    assert log.entries.index("exported a") < log.entries.index("infer b")


def test_a_ct_is_let_go_when_its_networks_end(jobs):
    scans = []

    class Watching(Predictor):
        def infer(self, scan):
            assert not any(other() for other in scans), "the last CT is still held"
            scans.append(weakref.ref(scan.ct_hu))
            return super().infer(scan)

    memory = MemoryPlan(dict.fromkeys(CASES, Needed(1, 1, 1)), {}, None, 0)
    run = Succession(Watching(Log(), False), memory, {}, False, silent)
    run.run(jobs)
    assert not run.failed and len(scans) == 3


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("kept", [0, 0.5, 0.99])
def test_on_a_full_disk_the_earlier_result_stays_whole(jobs, monkeypatch, kept):
    """ITK says nothing of a file that it could not write to its end."""
    memory = MemoryPlan(dict.fromkeys(CASES, Needed(1, 1, 1)), {}, None, 0)

    def predict(key, overwrite):
        run = Succession(Predictor(Log(), False), memory, {"inference": key}, overwrite, silent)
        run.run(jobs[:1])
        return run.failed

    assert not predict(0, False)
    before = contents(jobs[0].labels.parent)
    write = sitk.WriteImage

    def cut(image, path, **options):
        write(image, path, **options)
        with open(path, "r+b") as file:
            file.truncate(int(kept * file.seek(0, 2)))

    monkeypatch.setattr(sitk, "WriteImage", cut)
    assert "a: OSError" in predict(1, True)["a"]
    assert {path.name: path.read_bytes() for path in jobs[0].labels.parent.iterdir()} == before
    monkeypatch.undo()
    assert (
        not predict(0, False) and {path.name: path.read_bytes() for path in jobs[0].labels.parent.iterdir()} == before
    )


HOLDS = """
import sys, time
from pathlib import Path
from soars_nnunet.cascade.lock import holding
sys.argv[0] = "/usr/bin/soars-cascade-predict"
with holding(Path(sys.argv[1]), "b"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("beside", [True, False])
def test_a_case_that_another_run_predicts_is_waited_for_and_not_done_twice(jobs, beside):
    """Its result is there when the other has ended; with --overwrite as well."""
    memory = MemoryPlan(dict.fromkeys(CASES, Needed(1, 1, 1)), {}, None if beside else 0.0, 0)
    first = Succession(Predictor(Log(), False), memory, {"inference": 0}, False, silent)
    first.run(jobs[1:2])
    lines, log = [], Log()
    command = [sys.executable, "-c", HOLDS, str(jobs[1].lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"

        def said(line):
            lines.append(line)
            if "waits for" in line:
                other.stdin.close()

        second = Succession(Predictor(log, False), memory, {"inference": 0}, True, said)
        second.run(jobs)
    assert not second.failed and "infer b" not in log.entries and "infer a" in log.entries
    assert f"b:: waits for soars-cascade-predict (process {other.pid} on" in "\n".join(lines)
    assert lines[-1] == "b:: finished already, verified" and not list(jobs[0].labels.parent.glob(".*"))


def test_no_lock_is_left_where_a_run_fails_or_is_stopped(jobs):
    class Broken(Predictor):
        def infer(self, scan):
            if scan.name == "a":
                raise ValueError("broken")
            raise KeyboardInterrupt

    memory = MemoryPlan(dict.fromkeys(CASES, Needed(1, 1, 1)), {}, None, 0)
    run = Succession(Broken(Log(), False), memory, {}, False, silent)
    with pytest.raises(KeyboardInterrupt):
        run.run(jobs)
    assert list(run.failed) == ["a"] and not list(jobs[0].labels.parent.glob(".*"))
