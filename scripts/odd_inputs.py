"""Tries odd inputs over all commands, on a tiny cascade of random weights, and counts what happens.

    python -m scripts.odd_inputs /tmp/odd

Each input runs in a process of its own on its own copy, within a time limit. What was tried is in FOLDER/results.jsonl;
a broken run goes on where it stopped. Outcomes: one clear line and exit 2, accepted, an unclear line, accepted although
it is to be refused, a traceback, an abort, a hang, a file outside the copy.
"""

import argparse
import json
import os
import re
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.pool import ThreadPool
from pathlib import Path
from types import SimpleNamespace

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")  # before numpy is imported: threads do not survive a fork

from scripts.odd_tables import FRESH, MODELS, SOURCE, OddInput, all_inputs  # noqa: E402 - the threads must be few before numpy is imported

FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")

CLEAR, ACCEPTED = "clear refusal", "accepted"
UNCLEAR, WRONG, TRACEBACK, ABORT, HANG, OUTSIDE, TERMINAL = (
    "unclear line",
    "accepted wrongly",
    "traceback",
    "abort",
    "hang",
    "wrote outside",
    "acts on the terminal",
)
GOOD = (CLEAR, ACCEPTED)

OF_PYTHON = re.compile(
    r"object (is not|has no)|NoneType|KeyError|TypeError|IndexError|AttributeError|broadcast|ambiguous|unpack|embedded "
    r"null|cannot convert|Unknown format code|invalid literal|unhashable|index out of|codec can't"
)
"""Words of Python's own in a line for users."""

WARM = ("cascade_predict", "plan", "channels", "stratify", "evaluate", "report", "phantom", "import_set", "bundle")
HEAVY = (
    "soars_nnunet.prediction.files",
    "soars_nnunet.prediction.choosing",
    "soars_nnunet.guidance.channels",
    "soars_nnunet.planning.plan",
    "soars_nnunet.planning.preprocess",
    "soars_nnunet.planning.fine_tuning",
    "soars_nnunet.stratification.stratify",
    "soars_nnunet.evaluation.evaluate",
    "soars_nnunet.html_report.write",
    "soars_nnunet.bundles.make",
    "soars_nnunet.bundles.weights",
)
"""What is imported once, before the processes are forked."""

TINY = ["--set", "features_per_stage=[4,4,8,8]", "n_convs_per_stage=[1,1,1,1]", "max_patch_voxels=[16,16,16]"]
GRID = ["--spacing", "9", "8", "8", "--small-hard-spacing", "6", "5", "5"]


@dataclass
class Running:
    """A process that tries an input.

    Attributes:
        odd: The input.
        copy: Folder with the copy that it works on, and with its output.
        started: Clock at its start, s.
    """

    odd: OddInput
    copy: Path
    started: float

    @property
    def root(self) -> Path:
        """The copy itself."""
        return self.copy / "root"


def main() -> None:
    """Make the cascade if need be, try what was not tried yet, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="for the cascade, copies and results; kept")
    parser.add_argument("--limit", type=float, default=20, help="seconds for an input (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="inputs at a time (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="REGEX", help="inputs whose name has this")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only every Nth input (default: all)")
    options = parser.parse_args()
    folder = options.folder.resolve()
    base = make_base(folder / "base")
    wanted = [odd for odd in all_inputs() if re.search(options.only, odd.name)][:: options.every]
    results = folder / "results.jsonl"
    done = {row["name"] for row in read_results(results)}
    left = [odd for odd in wanted if odd.name not in done]
    print(f"{len(wanted)} inputs, {len(left)} to try", flush=True)
    warm_up()
    try_all(left, base, folder, options.limit, options.jobs)
    names = {odd.name for odd in wanted}
    print(summary([row for row in read_results(results) if row["name"] in names]))


def make_base(base: Path) -> Path:
    """The cascade, a prediction, its evaluation, a bundle and files of the user; made once."""
    from scripts.benchmarks.random_models import folders, run, write_weights
    from soars_nnunet.branches import BRANCHES
    from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade

    if (base / "done").is_file():
        return base
    shutil.rmtree(base, ignore_errors=True)
    folders(base)
    raw = base / "nnUNet_raw"
    size = ["--shape", "40", "34", "34", "--spacing", "7", "7", "7"]
    run(["soars-phantom", "-d", "42", "--train", "4", "--test", "1", *size])
    shutil.copytree(raw / SOURCE, raw / FRESH)
    run(["soars-stratify", "-d", "42", "-p", "hn42", "--folds", "2", "--empty-means-absent"])
    cascade = Cascade.load(42)
    for branches in (("anchor",), ("mid_level", "detection"), ("small_hard",)):
        run(["soars-plan", "-d", "42", "--regime", "demo", "-np", "1", *GRID, *TINY])
        for branch in branches:
            for fold in range(2):
                write_weights(cascade.datasets[branch], BRANCHES[branch].trainer, DEFAULT_PLANS, fold)
        if branches != ("small_hard",):
            run(["soars-channels", "-d", "42", "--device", "cpu"])
    write_further_files(base, run)
    (base / "done").touch()
    return base


def write_further_files(base: Path, run: Callable[[list[str]], None]) -> None:
    """What users have beside a cascade."""
    from soars_nnunet.profile import load_profile

    test, truth = base / "nnUNet_raw" / SOURCE / "imagesTs", base / "nnUNet_raw" / SOURCE / "labelsTs"
    shutil.copytree(test, base / "cts")
    shutil.copytree(truth, base / "truth")
    run(["soars-cascade-predict", "-i", f"{base}/cts", "-o", f"{base}/out", "-m", f"{base}/{MODELS}"])
    run(["soars-cross-validate", "-d", "42"])
    # predicted again, as cross-validation has decided something since
    run(["soars-cascade-predict", "-i", f"{base}/cts", "-o", f"{base}/out", "-m", f"{base}/{MODELS}", "--overwrite"])
    for name in ("eval", "other"):
        run(["soars-evaluate", "-p", f"{base}/out", "-r", f"{base}/truth", "--profile", "hn42", "-o", f"{base}/{name}"])
    run(["soars-bundle", "make", "-d", "42", "-o", f"{base}/bundle", "--name", "tiny"])
    (base / "profile.json").write_text(json.dumps(load_profile("hn42").to_dict()))
    (base / "unannotated.json").write_text(json.dumps({"phantom_000": ["Parotid_L"], "phantom_001": []}))
    (base / "genotype.json").write_text(json.dumps({"anchor": {"kinds": ["2D3", "2D3", "3D3", "3D3"]}}))
    masks = base / "masks" / "patient"
    masks.mkdir(parents=True)
    shutil.copyfile(next(test.iterdir()), masks / "ct.nii.gz")


def warm_up() -> None:
    """Import what commands need, and let nnU-Net preprocess by threads: processes would import all of it again."""
    import torch
    from nnunetv2.experiment_planning.dataset_fingerprint import fingerprint_extractor
    from nnunetv2.preprocessing.preprocessors import default_preprocessor

    torch.set_num_threads(1)
    for name in [*HEAVY, *(f"soars_nnunet.cli.{module}" for module in WARM)]:
        import_module(name)
    threaded = SimpleNamespace(get_context=lambda method: SimpleNamespace(Pool=ThreadPool))
    for module in (default_preprocessor, fingerprint_extractor):
        module.multiprocessing = threaded  # in this script's processes alone


def try_all(inputs: list[OddInput], base: Path, folder: Path, limit: float, jobs: int) -> None:
    """Try inputs, some at a time; each result is written at once."""
    running: dict[int, Running] = {}
    left = list(reversed(inputs))
    clock, finished, bad = time.monotonic(), 0, 0
    while left or running:
        while left and len(running) < jobs:
            one = Running(left.pop(), folder / "copies" / str(len(inputs) - len(left)), 0.0)
            copy_base(base, one.root)
            process = start(one)
            one.started = time.monotonic()
            running[process] = one
        for process, code in ended(running, limit):
            one = running.pop(process)
            row = judged(one, code)
            shutil.rmtree(one.copy, ignore_errors=True)
            with open(folder / "results.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
            finished += 1
            bad += row["outcome"] not in GOOD
            if finished % 20 == 0 or not (left or running):
                minutes = (time.monotonic() - clock) / finished * (len(inputs) - finished) / 60
                print(f"{finished} of {len(inputs)}, {bad} bad, {minutes:.0f} min left", flush=True)
        time.sleep(0.02)


def copy_base(base: Path, root: Path) -> None:
    """A copy of everything; weights, which nothing writes, are shared."""

    def link_or_copy(source: str, target: str) -> None:
        if source.endswith((".pth", ".safetensors")):
            os.link(source, target)
        else:
            shutil.copy2(source, target)

    shutil.rmtree(root.parent, ignore_errors=True)
    shutil.copytree(base, root, copy_function=link_or_copy, symlinks=True)


def start(one: Running) -> int:
    """Fork a process that changes the copy and runs the command; its output goes into files beside the copy."""
    sys.stdout.flush()
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        os.setsid()
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(one.copy / name, os.O_WRONLY | os.O_CREAT), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # also where they were others
        code = run_input(one)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run_input(one: Running) -> int:
    """Run the command in this process; its exit code."""
    import traceback

    os.chdir(one.root)
    os.environ |= {name: str(one.root / name) for name in FOLDERS}
    os.environ |= {"HOME": str(one.root / "home"), "nnUNet_def_n_proc": "1", "nnUNet_n_proc_DA": "0"}
    if one.odd.change is not None:
        one.odd.change(one.root)
    module, *arguments = one.odd.words
    try:
        return import_module(f"soars_nnunet.cli.{module}").main(arguments)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 1
    except BaseException:
        traceback.print_exc()
        return 1


def ended(running: dict[int, Running], limit: float) -> list[tuple[int, int | None]]:
    """Processes that ended, each with its exit code (negative for a signal), or None where it took too long."""
    found: list[tuple[int, int | None]] = []
    for process, one in running.items():
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            found.append((process, os.waitstatus_to_exitcode(status)))
        elif time.monotonic() - one.started > limit:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
            found.append((process, None))
    return found


def judged(one: Running, code: int | None) -> dict[str, object]:
    """The row of results."""
    stdout, stderr = ((one.copy / name).read_text("utf-8", "backslashreplace") for name in ("stdout", "stderr"))
    further = {path.name for path in one.copy.iterdir()} - {"root", "stdout", "stderr"}
    further |= {path.name for path in one.copy.parent.iterdir() if not path.name.isdigit()}
    outcome = OUTSIDE if further else outcome_of(code, stdout, stderr, one.odd.refused)
    lines = (stderr or stdout).strip().splitlines() or [""]
    return {
        "name": one.odd.name,
        "command": one.odd.words[0],
        "outcome": outcome,
        "code": code,
        "seconds": round(time.monotonic() - one.started, 1),
        "last": lines[-1][-400:] if lines[-1].startswith((" ", "\t")) else lines[-1][:400],
        "outside": sorted(further),
    }


def outcome_of(code: int | None, stdout: str, stderr: str, refused: bool) -> str:
    """What became of an input.

    Args:
        code: Exit code, negative for a signal; None for a process that was ended.
        stdout: What it printed.
        stderr: What it printed there.
        refused: Whether it was to be refused.
    """
    if code is None:
        return HANG
    if code < 0:
        return ABORT
    if "Traceback (most recent call last)" in stderr or code == 1:
        return TRACEBACK
    if not all(sign.isprintable() or sign in "\n\t\r" for sign in stdout + stderr):
        return TERMINAL
    if code == 0:
        return WRONG if refused else ACCEPTED
    last = (stderr.strip().splitlines() or [""])[-1]
    is_clear = "error: " in last and not OF_PYTHON.search(last) and len(last) > len("error: ") + 10
    return CLEAR if code == 2 and is_clear else UNCLEAR


def read_results(file: Path) -> list[dict[str, str]]:
    """Rows of what was tried; empty before."""
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def summary(rows: list[dict[str, str]]) -> str:
    """Counts by command as a table, and every input that is not as it should be."""
    outcomes = [CLEAR, ACCEPTED, UNCLEAR, WRONG, TRACEBACK, ABORT, HANG, OUTSIDE, TERMINAL]
    lines = [f"| command | {' | '.join(outcomes)} |", "|---" * (len(outcomes) + 1) + "|"]
    for command in [*sorted({row["command"] for row in rows}), "all"]:
        counts = Counter(row["outcome"] for row in rows if command in (row["command"], "all"))
        lines.append(f"| {command} | {' | '.join(str(counts[outcome]) for outcome in outcomes)} |")
    good = sum(row["outcome"] in GOOD for row in rows)
    lines.append(f"{good} of {len(rows)} as they should be ({100 * good / max(1, len(rows)):.1f} %)")
    for row in rows:
        if row["outcome"] not in GOOD:
            lines.append(f"{row['outcome']}: {row['name']}: {row['last']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
