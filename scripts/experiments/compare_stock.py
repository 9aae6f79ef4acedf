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

from scripts.experiments.compare_inference import dice
from scripts.experiments.compare_partial import cases_of
from scripts.experiments.paired import paired_table
from scripts.experiments.runner import add_options, parse
from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.environment import trainer_folder
from soars_nnunet.cascade.plans_file import CONFIGURATION
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.cli import cascade_predict as cascade_predict_command
from soars_nnunet.cli import channels as channels_command
from soars_nnunet.cli import plan as plan_command
from soars_nnunet.cli import stratify as stratify_command
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
        outputs = []
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
    facts = read_json(options.data / "dataset.json")
    ending, cases = facts["file_ending"], cases_of(options.data)
    held_out = cases[2::5]
    listed = {
        case: {
            "images": [str(options.data.resolve() / "imagesTr" / f"{case}_0000{ending}")],
            "label": str(options.data.resolve() / "labelsTr" / f"{case}{ending}"),
        }
        for case in cases
        if case not in held_out
    }
    raw = Path(os.environ["nnUNet_raw"]) / f"Dataset{DATASET:03d}_Compared"
    write_json(raw / "dataset.json", {**facts, "numTraining": len(listed), "dataset": listed})
    folders = raw / "imagesTs", raw / "labelsTs"
    for folder, kind, suffix in zip(folders, ("imagesTr", "labelsTr"), ("_0000", ""), strict=True):
        folder.mkdir(exist_ok=True)
        for case in held_out:
            shutil.copy(options.data / kind / f"{case}{suffix}{ending}", folder)
    return folders


def train_folds(
    options: argparse.Namespace, dataset: str, trainer: str, seconds: float, folds: Sequence[int | str]
) -> list[int]:
    """Train folds at the same time; returns their iterations."""
    cores = max(1, (os.cpu_count() or 1) // len(folds))
    environment = {**os.environ, "OMP_NUM_THREADS": str(cores)}
    environment.setdefault("nnUNet_n_proc_DA", str(max(1, cores - 1)))
    print(f"[{time.strftime('%H:%M:%S')}] {trainer}: {seconds:.0f} s", flush=True)
    logs = [options.output / f"train_{trainer}_{fold}.log" for fold in folds]
    running = []
    for fold, log in zip(folds, logs, strict=True):
        command = [sys.executable, "-m", MODULE, "--train", dataset, str(fold), trainer, str(seconds), options.device]
        command.append(str(log.with_suffix(".json")))
        with open(log, "w", encoding="utf-8") as file:
            running.append(subprocess.Popen(command, stdout=file, stderr=file, env=environment))
    if any([process.wait() for process in running]):
        sys.exit(f"error: a training of {trainer} failed, see {options.output}")
    return [read_json(log.with_suffix(".json")) for log in logs]


def step(command: Callable[[list[str]], int], *arguments: str) -> float:
    """Run one of the project's commands in this process; returns its seconds, exits where it fails."""
    print(f"[{time.strftime('%H:%M:%S')}] {command.__name__} {' '.join(arguments)}", flush=True)
    started = time.monotonic()
    if code := command(list(arguments)):
        sys.exit(code)
    return time.monotonic() - started


def run(options: argparse.Namespace, *command: str) -> float:
    """Run one of nnU-Net's commands, with a log; returns its seconds, exits where it fails."""
    print(f"[{time.strftime('%H:%M:%S')}] {' '.join(command)}", flush=True)
    started, log = time.monotonic(), options.output / f"{command[0]}.log"
    with open(log, "w", encoding="utf-8") as file:
        if subprocess.run(command, stdout=file, stderr=file, check=False).returncode:
            sys.exit(f"error: {command[0]} failed, see {log}")
    return time.monotonic() - started


def compare(options: argparse.Namespace, ct: Path, reference: Path) -> str:
    """Plan, train, predict, score; returns a table."""
    number = ["-d", str(DATASET)]
    settings = [*options.plan, *(["--set", *options.set] if options.set else [])]
    step(stratify_command.main, *number, "-p", options.profile, "--folds", str(options.folds))
    cascade = Cascade.load(DATASET)
    with ThreadPoolExecutor(1) as beside:
        stock = beside.submit(run, options, "nnUNetv2_plan_and_preprocess", *number, "-c", CONFIGURATION, "-np", "4")
        step(plan_command.main, *number, "--branches", "anchor", *settings)
        stock.result()

    budget, anchors, guided = 60 * options.minutes, BRANCHES["anchor"].trainer, BRANCHES["mid_level"].trainer
    device, folds = ["--device", options.device], range(options.folds)
    share = budget * options.anchor_share
    iterations = {"anchor": train_folds(options, cascade.datasets["anchor"], anchors, share, folds)}
    between = step(channels_command.main, *number, *device)
    between += step(plan_command.main, *number, "--branches", "mid_level", *settings)
    torch.cuda.empty_cache()  # the trainings need it
    iterations["mid-level"] = train_folds(options, cascade.datasets["mid_level"], guided, budget - share, folds)
    iterations["stock"] = train_folds(options, cascade.source, STOCK_TRAINER, budget + between, ["all"])

    outputs = {"stock nnU-Net": options.output / "stock", "cascade": options.output / "cascade"}
    theirs = ["nnUNetv2_predict", *number, "-i", str(ct), "-o", str(outputs["stock nnU-Net"]), "-c", CONFIGURATION]
    theirs += ["-f", "all", "-tr", STOCK_TRAINER, "--disable_tta", "-device", options.device]
    stock_seconds = run(options, *theirs)
    ours = step(cascade_predict_command.main, *number, "-i", str(ct), "-o", str(outputs["cascade"]), *device)
    tta = step(
        cascade_predict_command.main, *number, "-i", str(ct), "-o", str(options.output / "tta"), *device, "--tta"
    )
    outputs["cascade, mirrored as well"] = options.output / "tta"
    counts = "; ".join(f"{name} {' and '.join(map(str, done))}" for name, done in iterations.items())
    return (
        f"Iterations: {counts}. The cascade trained {budget:.0f} s, channels and plan took {between:.0f} s; "
        f"stock nnU-Net trained {budget + between:.0f} s. Prediction: {ours:.0f} s, mirrored as well {tta:.0f} s, "
        f"stock {stock_seconds:.0f} s with imports.\n\n"
        + paired_table({name: scores(folder, reference, cascade.profile) for name, folder in outputs.items()})
    )


def organ_labels(folder: Path, profile: Profile) -> dict[str, int]:
    """Label by TG-263 name of the profile's organs that a folder's dataset.json has, however it spells them."""
    known = {profile.resolve(name): label for name, label in read_json(folder / "dataset.json")["labels"].items()}
    return {organ.name: label for organ, label in known.items() if organ is not None}


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
                cases[path.name] = dice(ours == labels[name], mask, True)
    return found


def main() -> None:
    """Parse, compare, print."""
    if sys.argv[1:2] == ["--train"]:
        dataset, fold, trainer, seconds, device, record = sys.argv[2:]
        number = int(fold) if fold.isdigit() else fold
        write_json(Path(record), train_for(float(seconds), dataset, number, trainer, torch.device(device)))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="raw nnU-Net dataset")
    parser.add_argument("-p", "--profile", required=True)
    parser.add_argument("--folds", type=int, default=2, help="of the cascade")
    parser.add_argument("--minutes", type=float, required=True, help="of training, for each of the two")
    parser.add_argument("--anchor-share", type=float, default=0.5, help="of the cascade's time, for its anchors")
    add_options(parser, dataset=False)
    options = parse(parser)
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ[name] = str((options.output / name).resolve())
    os.environ["nnUNet_extTrainer"] = trainer_folder()
    text = compare(options, *write_datasets(options))
    (options.output / "stock.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
