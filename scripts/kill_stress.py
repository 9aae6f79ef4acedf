"""Kill every command at random moments, run it again, and compare with a run that was left alone.

Example:
    python -m scripts.kill_stress /tmp/stress --kills 200 --terms 50

Makes a tiny phantom cascade with random weights in the folder, and keeps what lay there before and after each command.
A trial takes the files before a command, starts it, ends it by SIGKILL or SIGTERM, counts processes and temporary files
that are left, runs it again, and compares all files with those of the run that was left alone. Finished trials are kept
in ``results.jsonl``: the same line goes on where it was stopped. Ends with 1 if a trial shows something wrong.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import psutil

VOLATILE = ("seconds", "since", "created")
"""Keys of JSON that hold times."""

POLL_S = 0.02
GRACE_S = 20.0
"""For a command that was told to end, and for its workers."""

EARLY = 0.2
"""Share of trials that end a command before it has written anything."""

TEMPORARY_ENDINGS = (".partial", ".old", ".lock")

DATASET = ("-d", "7")
PLAN = ("soars-plan", *DATASET, "--regime", "demo", "--spacing", "9", "8", "8", "--small-hard-spacing", "6", "5", "5",
        "-np", "2", "--set", "features_per_stage=[4,4,8,8]", "n_convs_per_stage=[1,1,1,1]",
        "max_patch_voxels=[16,16,16]")  # fmt: skip
CHANNELS = ("soars-channels", *DATASET, "--device", "cpu")
CTS, OUT = "nnUNet_raw/Dataset007_Phantom/imagesTs", "out"
PREDICT = ("soars-cascade-predict", *DATASET, "-i", CTS, "-o", OUT, "--device", "cpu")


@dataclass(frozen=True)
class Step:
    """A command of the chain.

    Attributes:
        name: Of the step.
        command: With paths relative to the working folder.
        weights: Branches that get random weights before it.
    """

    name: str
    command: tuple[str, ...]
    weights: tuple[str, ...] = ()


STEPS = (
    Step("phantom", ("soars-phantom", *DATASET, "--train", "4", "--test", "2", "--shape", "40", "34", "34",
                     "--spacing", "7", "7", "7")),
    Step("import", ("soars-import", "masks", "clinic", "-d", "17", "-p", "hn42")),
    Step("stratify", ("soars-stratify", *DATASET, "-p", "hn42", "--folds", "2", "--empty-means-absent")),
    Step("plan", PLAN),
    Step("channels", CHANNELS, ("anchor",)),
    Step("plan guided", PLAN),
    Step("channels and crops", CHANNELS, ("mid_level", "detection")),
    Step("plan crops", PLAN),
    Step("predict", PREDICT, ("small_hard",)),
    Step("predict again", (*PREDICT, "--overwrite")),
    Step("cross-validate", ("soars-cross-validate", *DATASET, "--device", "cpu")),
    Step("evaluate", ("soars-evaluate", "-p", OUT, "-r", "nnUNet_raw/Dataset007_Phantom/labelsTs", "-np", "2")),
    Step("report", ("soars-report", "-p", OUT, "-i", CTS)),
    Step("bundle make", ("soars-bundle", "make", *DATASET, "-o", "neck.zip", "--name", "neck")),
    Step("bundle install", ("soars-bundle", "install", "neck.zip")),
)  # fmt: skip


@dataclass(frozen=True)
class Known:
    """A step that was left alone.

    Attributes:
        seconds: That it took.
        quiet_seconds: Until it wrote something.
        files: Digest of every file after it, by path; without those that differ from run to run.
    """

    seconds: float
    quiet_seconds: float
    files: dict[str, str]


@dataclass(frozen=True)
class Trial:
    """What became of a command that was ended.

    Attributes:
        index: Number of the trial.
        step: Name.
        signal: By which it was ended.
        code: Its exit code.
        problems: Everything that is not as it should be.
        left: Temporary files that the ended run left.
    """

    index: int
    step: str
    signal: str
    code: int
    problems: list[str]
    left: int


def environment(run: Path) -> dict[str, str]:
    """Variables that keep a run in its folder."""
    variables = {"HOME": run / "home", "XDG_DATA_HOME": run / "home"}
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        variables[name] = run / name
    fixed = {"SOURCE_DATE_EPOCH": "1795000000", "OMP_NUM_THREADS": "1", "nnUNet_n_proc_DA": "0"}
    return {**os.environ, **{name: str(path) for name, path in variables.items()}, **fixed}


def start(step: Step, run: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start a step in a session of its own; what it says goes to a file."""
    program = Path(sys.executable).with_name(step.command[0])
    with open(log, "wb") as file:
        return subprocess.Popen(
            [str(program), *step.command[1:]],
            cwd=run,
            env=environment(run),
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def names(run: Path) -> set[tuple[str, int]]:
    """Files of a folder with their sizes; what vanishes meanwhile is left out."""
    found = set()
    for folder, _, files in os.walk(run):
        for file in files:
            path = os.path.join(folder, file)
            try:
                found.add((os.path.relpath(path, run), os.stat(path).st_mtime_ns))
            except FileNotFoundError:
                continue
    return found


def wait_for_change(run: Path, before: set[tuple[str, int]], process: subprocess.Popen[bytes]) -> None:
    """Wait until something other than a lock is written, or the process ends."""
    while process.poll() is None:
        if any(not name.endswith(".lock") for name, _ in names(run) ^ before):
            return
        time.sleep(POLL_S)


def digests(run: Path) -> dict[str, str]:
    """Digest of every file by path; of JSON without times."""
    found = {}
    for path in sorted(run.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".json":
                content = json.dumps(without_times(json.loads(content)), sort_keys=True).encode()
            found[path.relative_to(run).as_posix()] = sha256(content).hexdigest()
    return found


def without_times(data: Any) -> Any:
    """JSON without what holds times."""
    if isinstance(data, dict):
        return {key: without_times(value) for key, value in data.items() if key not in VOLATILE}
    if isinstance(data, list):
        return [without_times(value) for value in data]
    return data


def temporary_files(run: Path) -> list[str]:
    """Files and folders that only a command at work has."""
    found = []
    for path in run.rglob("*"):
        if path.name.startswith(".") or path.name.endswith(TEMPORARY_ENDINGS):
            found.append(path.relative_to(run).as_posix())
    return sorted(found)


def orphans(session: int) -> list[psutil.Process]:
    """Processes of a session that outlive their time."""
    until = time.monotonic() + GRACE_S
    while True:
        alive = [process for process in psutil.process_iter() if _is_of(process, session)]
        if not alive or time.monotonic() > until:
            return alive
        time.sleep(POLL_S)


def _is_of(process: psutil.Process, session: int) -> bool:
    try:
        return os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def fresh(source: Path, run: Path) -> None:
    """Have a folder hold a copy of another."""
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(source, run)


def prepare(work: Path, steps: Iterable[Step], say: Callable[[str], None] = print) -> dict[str, Known]:
    """Run every step twice without a disturbance; keeps the files before it, and what is known of it."""
    run = work / "run"
    known = {}
    for step in steps:
        record, before = work / "known" / f"{step.name}.json", work / "before" / step.name
        if record.is_file():
            known[step.name] = Known(**json.loads(record.read_text()))
            continue
        if not known:
            shutil.rmtree(run, ignore_errors=True)
            write_clinic(run)
        else:
            fresh(work / "last", run)
        for branch in step.weights:
            write_weights(run, branch)
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(run, before)
        first = undisturbed(step, run, work / "log.txt")
        fresh(before, run)
        second = undisturbed(step, run, work / "log.txt")
        same = {path: digest for path, digest in second.files.items() if first.files.get(path) == digest}
        known[step.name] = Known(second.seconds, second.quiet_seconds, same)
        fresh(run, work / "last")
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(json.dumps(asdict(known[step.name])))
        differ = sorted(set(second.files) - set(same))
        say(f"{step.name}: {second.seconds:.1f} s, {len(same)} files; differ from run to run: {differ or 'none'}")
    return known


def undisturbed(step: Step, run: Path, log: Path) -> Known:
    """Run a step and measure it."""
    before, begun = names(run), time.monotonic()
    process = start(step, run, log)
    wait_for_change(run, before, process)
    quiet = time.monotonic() - begun
    if process.wait() != 0 or temporary_files(run):
        raise SystemExit(f"error: {step.name}: {log.read_text()[-2000:]} {temporary_files(run)}")
    return Known(time.monotonic() - begun, quiet, digests(run))


def try_once(index: int, step: Step, known: Known, work: Path, number: signal.Signals) -> Trial:
    """End a step at a moment that the index decides, run it again, and compare."""
    chance = random.Random(index)
    run, log = work / "run", work / "log.txt"
    fresh(work / "before" / step.name, run)
    before = names(run)
    process = start(step, run, log)
    if chance.random() < EARLY:
        wait(process, chance.uniform(0, known.quiet_seconds))
    else:
        wait_for_change(run, before, process)
        wait(process, chance.uniform(0, known.seconds - known.quiet_seconds))
    running = process.poll() is None
    if running:
        process.send_signal(number)
    code, problems = ending(process, log, number if running else None)
    left = temporary_files(run)
    if number != signal.SIGKILL and left:
        problems.append(f"left {left}")
    process = start(step, run, log)
    if process.wait() != 0:
        problems.append(f"run again: exit code {process.returncode}: {log.read_text()[-300:]}")
    if temporary_files(run):
        problems.append(f"run again: left {temporary_files(run)}")
    found = digests(run)
    differ = sorted(path for path, digest in known.files.items() if found.get(path) != digest)
    if differ:
        problems.append(f"run again: other files: {differ[:5]}")
    return Trial(index, step.name, number.name, code, problems, len(left))


def wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait so long, or until it ends."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def ending(process: subprocess.Popen[bytes], log: Path, sent: signal.Signals | None) -> tuple[int, list[str]]:
    """Exit code of a process that was told to end, and what is wrong with how it ended."""
    problems = []
    try:
        code = process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        problems.append(f"did not end within {GRACE_S:.0f} s")
        process.kill()
        code = process.wait()
    for orphan in orphans(process.pid):
        problems.append(f"process left: {' '.join(orphan.cmdline())[:80]}")
        orphan.kill()
    said = log.read_text(errors="replace")
    if "Traceback" in said:
        problems.append(f"traceback: {said[said.index('Traceback') :][:600]}")
    if sent == signal.SIGTERM and code not in (0, 128 + sent, -sent):
        problems.append(f"exit code {code}")
    if sent == signal.SIGTERM and code == 128 + sent and said.count("terminated; finished files are kept") != 1:
        problems.append("no message")
    return code, problems


def write_clinic(run: Path) -> None:
    """Two phantoms as a clinic's folders of masks."""
    import SimpleITK as sitk

    from soars_nnunet.phantom.phantom import make_phantom
    from soars_nnunet.profile import load_profile

    (run / "home").mkdir(parents=True)
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (run / name).mkdir()
    organs = [organ for organ in load_profile("hn42").organs if organ.tier == "anchor"]
    for patient in range(2):
        phantom = make_phantom(2 * patient, (40, 34, 34), (7.0, 7.0, 7.0))
        folder = run / "clinic" / f"patient{patient}"
        folder.mkdir(parents=True)
        sitk.WriteImage(phantom.ct_image(), str(folder / "image.nii.gz"))
        for organ in organs:
            mask = phantom.label_image() == organ.label
            sitk.WriteImage(mask, str(folder / f"{organ.name}.nii.gz"))


def write_weights(run: Path, branch: str) -> None:
    """Random final checkpoints of both folds of a branch, in a process of its own."""
    code = (
        "import sys; from soars_nnunet.branches import BRANCHES; from soars_nnunet.cascade.environment import "
        "trainer_folder; import os; os.environ['nnUNet_extTrainer'] = trainer_folder(); "
        "from soars_nnunet.cascade.record import Cascade; from scripts.benchmarks.random_models import write_weights\n"
        "cascade = Cascade.load(7)\n"
        "for fold in range(2): write_weights(cascade.datasets[sys.argv[1]], BRANCHES[sys.argv[1]].trainer, "
        "'nnUNetPlans', fold)"
    )
    root = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, "-c", code, branch], env=environment(run), cwd=root, check=True)


def main(argv: list[str] | None = None) -> int:
    """Run the trials that are not done; returns 1 if one of all shows something wrong."""
    summary, _, details = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=f"{summary}\n{details}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("work", type=Path, help="folder of the trials; an earlier one is taken up again")
    parser.add_argument("--kills", type=int, default=200, metavar="N", help="trials by SIGKILL (default: %(default)s)")
    parser.add_argument("--terms", type=int, default=50, metavar="M", help="trials by SIGTERM (default: %(default)s)")
    parser.add_argument("--steps", nargs="+", choices=[step.name for step in STEPS], metavar="STEP", help="only these")
    arguments = parser.parse_args(argv)
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    steps = [step for step in STEPS if not arguments.steps or step.name in arguments.steps]
    known = prepare(work, STEPS[: STEPS.index(steps[-1]) + 1])
    trials = run_trials(work, steps, known, arguments.kills, arguments.terms)
    wrong = [trial for trial in trials if trial.problems]
    codes = Counter((trial.signal, trial.code) for trial in trials)
    print(f"{len(trials)} trials, {len(wrong)} with problems; exit codes {dict(codes)}")
    left = sum(trial.left for trial in trials if trial.signal == "SIGKILL")
    print(f"temporary files after a kill: {left}; after the next run: none but those in the problems")
    for trial in wrong:
        print(f"  {trial.index} {trial.signal} {trial.step}: {'; '.join(trial.problems)}")
    return int(bool(wrong))


def run_trials(work: Path, steps: list[Step], known: dict[str, Known], kills: int, terms: int) -> list[Trial]:
    """All trials, the kept ones included."""
    results = work / "results.jsonl"
    done = {}
    if results.is_file():
        for line in results.read_text().splitlines():
            trial = Trial(**json.loads(line))
            done[trial.index] = trial
    kinds = [signal.SIGKILL] * kills + [signal.SIGTERM] * terms
    todo = [index for index in range(len(kinds)) if index not in done]
    begun = time.monotonic()
    for count, index in enumerate(todo, 1):
        step = steps[index % len(steps)]
        trial = done[index] = try_once(index, step, known[step.name], work, kinds[index])
        with open(results, "a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(trial)) + "\n")
        left_s = (time.monotonic() - begun) / count * (len(todo) - count)
        verdict = "; ".join(trial.problems) or "as it should be"
        print(
            f"[{index + 1}/{len(kinds)}] {trial.signal} {step.name}: exit code {trial.code}, {verdict}; "
            f"{left_s / 60:.0f} min left",
            flush=True,
        )
    return [done[index] for index in range(len(kinds))]


if __name__ == "__main__":
    sys.exit(main())
