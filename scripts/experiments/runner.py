"""Runs the project's and nnU-Net's commands, with logs; finished steps are kept."""

import argparse
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any, TypeVar

from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.environment import trainer_folder
from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile
from soars_nnunet.cascade.record import CHECKPOINT, INFERENCE_REVISION, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.networks.genotype import NUM_BLOCKS
from soars_nnunet.training.base import design

Item = TypeVar("Item")
Result = TypeVar("Result")

EVERYWHERE = ("--tiling", "everywhere")
"""Runs networks on all tiles of the patient's box, so that all arms of a comparison see the same ones."""
HALF_STEPS = ("--step-size", "0.5")
"""Tiles half a patch apart, as in nnU-Net's validation."""
ALL_3D3 = ("3D3",) * NUM_BLOCKS
"""Genotype of arms that are to differ in something else."""


class Runner:
    """Plans and trains variants of one cascade.

    Args:
        options: With ``dataset`` (id), ``output`` (folder for logs), ``device``, ``jobs`` (commands at a time),
            ``set`` (regime values) and ``plan`` (further options of soars-plan).
    """

    FREE: tuple[str, ...] = ("output", "jobs")
    """Options that may change when a run goes on."""
    at_a_time = 1
    """Commands that run side by side at present, of all runners: they share the machine's cores."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.cascade = Cascade.load(options.dataset)
        self.output: Path = options.output
        os.environ["nnUNet_extTrainer"] = trainer_folder()
        record = self.output / "options.json"
        ours = self.fixed_options(vars(options))
        ours["inference"] = INFERENCE_REVISION
        self.is_new = not record.is_file()
        if not self.is_new and self.fixed_options(read_json(record)) != ours:
            sys.exit(
                f"error: {self.output} holds results of other options or another version ({record}); "
                "choose another folder"
            )
        self.require_folds(getattr(options, "folds", ()))
        if hasattr(options, "fold"):
            self.require_folds([options.fold])
        if self.is_new:
            self.check_dataset()
        self.output.mkdir(parents=True, exist_ok=True)
        write_json(record, ours)
        self.seconds: dict[str, float] = {}
        self._planning = threading.Lock()

    @classmethod
    def fixed_options(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The options that may not change when a run goes on."""
        return {name: value for name, value in values.items() if name not in cls.FREE}

    def check_dataset(self) -> None:
        """Exit if the dataset is not fit, before anything is written."""

    def require_folds(self, folds: Sequence[int]) -> None:
        """Exit if the split lacks a fold: nnU-Net would train it on a split of its own, not by patient."""
        known = len(self.cascade.splits()) if folds else 0
        unknown = [str(fold) for fold in folds if not 0 <= fold < known]
        if unknown:
            sys.exit(f"error: folds: expected some of 0 to {known - 1}, got {', '.join(unknown)}")

    def common(self) -> list[str]:
        """Options of every command that runs networks."""
        return ["-d", str(self.options.dataset), "--device", self.options.device]

    def run(self, log: str, command: Sequence[str]) -> float:
        """Run a command with its output in a log file; returns its seconds, exits where it fails."""
        print(f"[{time.strftime('%H:%M:%S')}] {' '.join(command)}", flush=True)
        started = time.monotonic()
        path = self.output / f"{log}.log"
        environment = dict(os.environ)
        if Runner.at_a_time > 1:
            threads = (os.cpu_count() or 1) // Runner.at_a_time
            environment["OMP_NUM_THREADS"] = str(max(1, threads))
        with open(path, "w", encoding="utf-8") as file:
            done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False, env=environment)
        if done.returncode:
            print(f"error: {command[0]} failed, see {path}", file=sys.stderr, flush=True)
            sys.exit(1)
        return time.monotonic() - started

    def map(self, step: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Result of a step for every item, ``jobs`` at a time; after a failure nothing more is begun."""
        items = list(items)
        Runner.at_a_time = min(self.options.jobs, len(items)) or 1
        with ThreadPoolExecutor(Runner.at_a_time) as pool:
            try:
                futures = [pool.submit(step, item) for item in items]
                wait(futures, return_when=FIRST_EXCEPTION)
                for future in futures:
                    future.cancel()
                # the failure comes before what was cancelled because of it
                futures.sort(key=Future.cancelled)
                return [future.result() for future in futures]
            finally:
                Runner.at_a_time = 1

    def plan(
        self,
        plans: str,
        branches: Sequence[str],
        settings: Sequence[str] = (),
        plan_options: Sequence[str] = (),
    ) -> None:
        """Plan and preprocess branches of a variant, with regime values and options of its own."""
        command = ["soars-plan", "-d", str(self.options.dataset), "--plans-name", plans, "--branches"]
        command += branches
        command += self.options.plan
        if self.options.set or settings:
            command.append("--set")
            command += self.options.set
            command += settings
        command += plan_options
        with self._planning:  # plans share folders and files
            self.run(f"plan_{plans}_{'_'.join(branches)}", command)

    def folder(self, branch: str, plans: str, fold: int, trainer: str | None = None) -> Path:
        """Where a fold is trained, by the branch's own trainer or another."""
        model = self.cascade.model(branch, plans)
        name = f"{trainer or BRANCHES[branch].trainer}__{plans}__{CONFIGURATION}"
        return model.with_name(name) / f"fold_{fold}"

    def train(
        self, branch: str, plans: str, fold: int, *, trainer: str | None = None, finished: str = CHECKPOINT
    ) -> Path:
        """Train a fold of a planned variant, unless its file ``finished`` is there; returns the fold's folder."""
        own_trainer = BRANCHES[branch].trainer
        trainer = trainer or own_trainer
        folder = self.folder(branch, plans, fold, trainer)
        name = f"{plans}_{branch}_{fold}"
        if trainer != own_trainer:
            name += f"_{trainer}"
        self.require_same_design(folder.parent, self.cascade.plans(branch, plans))
        record = self.output / f"{name}.seconds.json"
        if not (folder / finished).is_file():
            command = ["nnUNetv2_train", self.cascade.datasets[branch], CONFIGURATION, str(fold), "-tr", trainer]
            command += ["-p", plans, "--c", "-device", self.options.device]
            before = read_json(record) if record.is_file() else 0.0
            started = time.monotonic()
            try:
                self.run(f"train_{name}", command)
            finally:
                write_json(record, before + time.monotonic() - started)
        if record.is_file():  # not where it was trained by hand
            self.seconds[name] = read_json(record)
        return folder

    @staticmethod
    def require_same_design(model: Path, plans: Path) -> None:
        """Exit if a model folder holds trainings of other plans than the present ones: they are no result of these."""
        if not (model / "plans.json").is_file() or not any(model.glob("fold_*/checkpoint_*.pth")):
            return
        theirs = design(PlansFile.read(model / "plans.json").configuration)
        ours = design(PlansFile.read(plans).configuration)
        if theirs != ours:
            sys.exit(
                f"error: {model} was trained by other plans than {plans}; use other nnU-Net folders, or move it away"
            )

    def cross_validate(self, plans: str, options: Sequence[str] = (), folds: Sequence[int] = ()) -> None:
        """Predict and score every case by its own fold's cascade, unless that is done; keeps the scores."""
        if self.evaluation(plans).is_file():
            return
        command = ["soars-cross-validate"] + self.common() + ["--plans-name", plans]
        command += options
        name = "evaluation.json"
        if folds:
            numbers = [str(fold) for fold in sorted(set(folds))]
            command.append("--folds")
            command += numbers
            name = f"evaluation_folds_{'_'.join(numbers)}.json"
        self.run(f"cross_validate_{plans}", command)
        done = self.cascade.manifest(plans).parent / "cross_validation" / name
        shutil.copyfile(done, self.evaluation(plans))

    def evaluation(self, plans: str) -> Path:
        """Where the scores of a variant are kept."""
        return self.output / f"evaluation_{plans}.json"

    def minutes(self) -> dict[str, float]:
        """Wall time of every training, also of those run earlier or in parts; not of a part that was killed."""
        return {name: round(seconds / 60, 1) for name, seconds in self.seconds.items()}

    def report(self, name: str, text: str) -> None:
        """Write a table into the output folder and print it below the minutes."""
        (self.output / name).write_text(text + "\n", encoding="utf-8")
        print(f"minutes: {self.minutes()}", text, sep="\n\n")


def add_options(parser: argparse.ArgumentParser, dataset: bool = True) -> None:
    """Options that every runner needs; without ``dataset`` where the script makes its own."""
    if dataset:
        parser.add_argument("-d", "--dataset", required=True, type=int)
    parser.add_argument("-o", "--output", required=True, type=Path, help="logs, results")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time; on a CPU they share its cores")
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="regime values")


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse the command line; what follows ``--`` becomes ``plan``, options of soars-plan."""
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:cut])
    options.plan = arguments[cut + 1 :]
    if "--set" in options.plan:
        parser.error("give --set before --")
    return options
