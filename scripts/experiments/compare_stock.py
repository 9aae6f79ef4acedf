#!/usr/bin/env python
"""The cascade against stock nnU-Net: the same wall time and cases in training, scored on cases held out of both.

    python -m scripts.experiments.compare_stock DATASET -p openkbp7 -o OUT --minutes 60 --device cuda -- --regime nnunet

DATASET is a raw nnU-Net dataset of anchor and mid-level organs. Every fifth case is held out; the others train. The
cascade splits them in folds, which train side by side and are averaged; its anchors and mid-level share --minutes.
Stock nnU-Net (its own plan, augmentation, loss and optimiser, without left/right mirroring, one network of all organs
on all training cases) has as long, and what the out-of-fold channels and mid-level's plan took as well, with the whole
machine to itself. Learning rates fall by nnU-Net's polynomial of the time that has passed. The start of programs, the
first planning and prediction do not count. What follows ``--`` goes to soars-plan. Works in nnU-Net folders of its own
in OUT.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk
import torch

from scripts.experiments.paired import paired_table
from scripts.experiments.raw_datasets import cases_of, file_entries, use_folders, write_reference_dataset
from scripts.experiments.runner import add_options, parse
from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.environment import raw_folder, trainer_folder
from soars_nnunet.cascade.plans_file import CONFIGURATION
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cli import cascade_predict as cascade_predict_command
from soars_nnunet.cli import channels as channels_command
from soars_nnunet.cli import plan as plan_command
from soars_nnunet.cli import stratify as stratify_command
from soars_nnunet.evaluation import surface
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.profile import Profile

MODULE = "scripts.experiments.compare_stock"
DATASET = 7
STOCK_TRAINER = "nnUNetTrainerNoMirroring"
EXPONENT = 0.9
"""Of nnU-Net's polynomial decay."""
EPOCH = 250
"""Iterations after which nnU-Net draws its curves."""


@dataclass
class DecayByTime:
    """Stands in for nnU-Net's learning-rate scheduler where time is what ends a training."""

    optimizer: torch.optim.Optimizer
    initial_lr: float
    began: float
    seconds: float

    @property
    def left(self) -> float:
        """Share of the time that is left."""
        return 1 - min(1.0, (time.monotonic() - self.began) / self.seconds)

    def step(self, epoch: int | None = None) -> None:
        """Set the learning rate by the share of the time that is left."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.initial_lr * self.left**EXPONENT


def train_for(seconds: float, dataset: str, fold: int | str, trainer_name: str, device: torch.device) -> int:
    """Train a fold by nnU-Net's own steps for a time, which starts with the first; returns the number of iterations."""
    from nnunetv2.run.run_training import get_trainer_from_args

    if device.type == "cuda":  # as nnUNetv2_train does
        torch.set_num_threads(1)
        torch.backends.cudnn.benchmark = True
    trainer = get_trainer_from_args(dataset, CONFIGURATION, fold, trainer_name, DEFAULT_PLANS, device=device)
    trainer.num_epochs = trainer.save_every = sys.maxsize
    trainer.on_train_start()
    decay = trainer.lr_scheduler = DecayByTime(trainer.optimizer, trainer.initial_lr, time.monotonic(), seconds)
    iterations = 0
    while decay.left:
        trainer.on_epoch_start()
        trainer.on_train_epoch_start()
        outputs: list[dict] = []
        while len(outputs) < EPOCH and (decay.left or not outputs):
            decay.step()
            outputs.append(trainer.train_step(next(trainer.dataloader_train)))
        iterations += len(outputs)
        trainer.on_train_epoch_end(outputs)
        with torch.no_grad():
            trainer.on_validation_epoch_start()
            trainer.on_validation_epoch_end([trainer.validation_step(next(trainer.dataloader_val))])
        trainer.on_epoch_end()
    trainer.on_train_end()
    return iterations


def write_datasets(options: argparse.Namespace) -> tuple[Path, Path]:
    """Raw dataset of the training cases; returns folders of the held-out CTs and labels."""
    ending = read_json(options.data / "dataset.json")["file_ending"]
    cases = cases_of(options.data)
    held_out = cases[2::5]
    training = [case for case in cases if case not in held_out]
    raw = raw_folder() / f"Dataset{DATASET:03d}_Compared"
    write_reference_dataset(raw, options.data, file_entries(options.data, training))
    ct, reference = raw / "imagesTs", raw / "labelsTs"
    for folder in (ct, reference):
        folder.mkdir(exist_ok=True)
    for case in held_out:
        shutil.copy(options.data / "imagesTr" / f"{case}_0000{ending}", ct)
        shutil.copy(options.data / "labelsTr" / f"{case}{ending}", reference)
    return ct, reference


def train_folds(
    options: argparse.Namespace, dataset: str, trainer: str, seconds: float, folds: Sequence[int | str]
) -> list[int]:
    """Train folds at the same time; returns their iterations."""
    cores = max(1, (os.cpu_count() or 1) // len(folds))
    environment = os.environ | {"OMP_NUM_THREADS": str(cores)}
    environment.setdefault("nnUNet_n_proc_DA", str(max(1, cores - 1)))
    print(f"[{time.strftime('%H:%M:%S')}] {trainer}: {seconds:.0f} s", flush=True)
    running, records = [], []
    for fold in folds:
        log = options.output / f"train_{trainer}_{fold}.log"
        record = log.with_suffix(".json")
        command = [sys.executable, "-m", MODULE, "--train", dataset, str(fold), trainer, str(seconds)]
        command += [options.device, str(record)]
        with open(log, "w", encoding="utf-8") as file:
            running.append(subprocess.Popen(command, stdout=file, stderr=file, env=environment))
        records.append(record)
    codes = [process.wait() for process in running]
    if any(codes):
        sys.exit(f"error: a training of {trainer} failed, see {options.output}")
    return [read_json(record) for record in records]


def step(command: Callable[[list[str]], int], arguments: list[str]) -> float:
    """Run one of the project's commands in this process; returns its seconds, exits where it fails."""
    print(f"[{time.strftime('%H:%M:%S')}] {command.__module__} {' '.join(arguments)}", flush=True)
    started = time.monotonic()
    code = command(arguments)
    if code:
        sys.exit(code)
    return time.monotonic() - started


def run(options: argparse.Namespace, command: list[str]) -> float:
    """Run one of nnU-Net's commands, with a log; returns its seconds, exits where it fails."""
    print(f"[{time.strftime('%H:%M:%S')}] {' '.join(command)}", flush=True)
    started = time.monotonic()
    log = options.output / f"{command[0]}.log"
    with open(log, "w", encoding="utf-8") as file:
        done = subprocess.run(command, stdout=file, stderr=file, check=False)
    if done.returncode:
        sys.exit(f"error: {command[0]} failed, see {log}")
    return time.monotonic() - started


@dataclass(frozen=True)
class Trained:
    """What the trainings took.

    Attributes:
        cascade_s: Seconds that the cascade trained.
        between_s: Seconds of its out-of-fold channels and mid-level's plan, which stock nnU-Net trained, too.
        iterations: Of each training, by what was trained.
    """

    cascade_s: float
    between_s: float
    iterations: dict[str, list[int]]

    def sentence(self) -> str:
        """Times and iterations."""
        counts = []
        for name, done in self.iterations.items():
            counts.append(f"{name} {' and '.join(str(count) for count in done)}")
        return (
            f"Iterations: {'; '.join(counts)}. The cascade trained {self.cascade_s:.0f} s, channels and plan took "
            f"{self.between_s:.0f} s; stock nnU-Net trained {self.cascade_s + self.between_s:.0f} s."
        )


NUMBER = ["-d", str(DATASET)]
"""Option of every command."""


def plan_both(options: argparse.Namespace, settings: list[str]) -> Cascade:
    """Stratify; plan the anchors and, beside that, stock nnU-Net."""
    folds = ["--folds", str(options.folds)]
    step(stratify_command.main, NUMBER + ["-p", options.profile] + folds)
    command = ["nnUNetv2_plan_and_preprocess"] + NUMBER + ["-c", CONFIGURATION, "-np", "4"]
    with ThreadPoolExecutor(1) as beside:
        stock = beside.submit(run, options, command)
        step(plan_command.main, NUMBER + ["--branches", "anchor"] + settings)
        stock.result()
    return Cascade.load(DATASET)


def train_both(options: argparse.Namespace, cascade: Cascade, settings: list[str]) -> Trained:
    """Train the cascade, then stock nnU-Net for as long."""
    budget = 60 * options.minutes
    share = budget * options.anchor_share
    folds = range(options.folds)
    iterations = {}
    anchors, guided = cascade.datasets["anchor"], cascade.datasets["mid_level"]
    iterations["anchor"] = train_folds(options, anchors, BRANCHES["anchor"].trainer, share, folds)
    between = step(channels_command.main, NUMBER + ["--device", options.device])
    between += step(plan_command.main, NUMBER + ["--branches", "mid_level"] + settings)
    torch.cuda.empty_cache()  # the trainings need it
    iterations["mid-level"] = train_folds(options, guided, BRANCHES["mid_level"].trainer, budget - share, folds)
    iterations["stock"] = train_folds(options, cascade.source, STOCK_TRAINER, budget + between, ["all"])
    return Trained(budget, between, iterations)


def compare(options: argparse.Namespace, ct: Path, reference: Path) -> str:
    """Plan, train, predict, score; returns a table."""
    settings = list(options.plan)
    if options.set:
        settings += ["--set"] + options.set
    cascade = plan_both(options, settings)
    trained = train_both(options, cascade, settings)
    stock, ours, mirrored = (options.output / name for name in ("stock", "cascade", "tta"))
    command = ["nnUNetv2_predict"] + NUMBER + ["-i", str(ct), "-o", str(stock), "-c", CONFIGURATION, "-f", "all"]
    command += ["-tr", STOCK_TRAINER, "--disable_tta", "-device", options.device]
    stock_s = run(options, command)
    predict = NUMBER + ["-i", str(ct), "--device", options.device]
    ours_s = step(cascade_predict_command.main, predict + ["-o", str(ours)])
    mirrored_s = step(cascade_predict_command.main, predict + ["-o", str(mirrored), "--tta"])
    times = f"Prediction: {ours_s:.0f} s, mirrored as well {mirrored_s:.0f} s, stock {stock_s:.0f} s with imports."
    outputs = {"stock nnU-Net": stock, "cascade": ours, "cascade, mirrored as well": mirrored}
    table = paired_table({name: scores(folder, reference, cascade.profile) for name, folder in outputs.items()})
    return f"{trained.sentence()} {times}\n\n{table}"


def organ_labels(folder: Path, profile: Profile) -> dict[str, int]:
    """Label by TG-263 name of the profile's organs that a folder's dataset.json has, however it spells them."""
    found = {}
    for name, label in read_json(folder / "dataset.json")["labels"].items():
        organ = profile.resolve(name)
        if organ is not None:
            found[organ.name] = label
    return found


def scores(predicted: Path, reference: Path, profile: Profile) -> dict[str, dict[str, float]]:
    """DSC by organ and case, of organs that the reference has."""
    truth_labels, labels = organ_labels(reference.parent, profile), organ_labels(predicted, profile)
    found: dict[str, dict[str, float]] = {name: {} for name in truth_labels if name in labels}
    for path in sorted(reference.iterdir()):
        truth = sitk.GetArrayFromImage(read_label_map(path))
        ours = sitk.GetArrayFromImage(read_label_map(predicted / path.name))
        for name, cases in found.items():
            mask = truth == truth_labels[name]
            if mask.any():
                cases[path.name] = surface.dice(ours == labels[name], mask)
    return found


def train_from_command_line(arguments: list[str]) -> None:
    """What ``train_folds`` starts in a process of its own: train, and write the number of iterations."""
    dataset, fold, trainer, seconds, device, record = arguments
    number = int(fold) if fold.isdigit() else fold
    write_json(Path(record), train_for(float(seconds), dataset, number, trainer, torch.device(device)))


def main() -> None:
    """Parse, compare, print."""
    if sys.argv[1:2] == ["--train"]:
        train_from_command_line(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="raw nnU-Net dataset")
    parser.add_argument("-p", "--profile", required=True)
    parser.add_argument("--folds", type=int, default=2, help="of the cascade")
    parser.add_argument("--minutes", type=float, required=True, help="of training, for each of the two")
    parser.add_argument("--anchor-share", type=float, default=0.5, help="of the cascade's time, for its anchors")
    add_options(parser, dataset=False)
    options = parse(parser)
    use_folders(options.output)
    os.environ["nnUNet_extTrainer"] = trainer_folder()
    ct, reference = write_datasets(options)
    text = compare(options, ct, reference)
    (options.output / "stock.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
