#!/usr/bin/env python
"""Time and memory to segment 42 organs: the cascade against one network of 43 classes under nnU-Net's predictor.

    python -m scripts.benchmarks.inference WORK [--sizes small medium large full] [--variants cascade large stock]

Draws one phantom CT a size and makes networks with random weights: the cascade's four and a 43-class P-HNN planned by
soars-plan, and nnU-Net's default U-Net planned by nnU-Net. All work at --spacing, by one fold, with tiles half a patch
apart and without mirroring. Each run is a fresh process of the plain command, measured until it ends; memory is the
proportional set (PSS) of it and its workers, sampled; stages are told by the lines that the commands print or the
report that they write. "everywhere" is the cascade on all tiles of the patient's box, also out of the anchors'
reach, "large" runs anchors and mid-level on large tiles, "anchors" and "not_small" give 9 and 30 organs alone. Random
weights know no anatomy: nothing is out of reach, and organs are strewn over the whole patient.
"""

import argparse
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterable
from pathlib import Path

import psutil
import SimpleITK as sitk

from scripts import markdown
from scripts.benchmarks.random_models import STOCK_PLANS, STOCK_TRAINER, folders, make_models
from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.plans_file import CONFIGURATION
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.profile import load_profile

SIZES = {
    "small": ((120, 160, 160), (3.0, 3.0, 3.0)),
    "medium": ((120, 256, 256), (2.5, 1.9, 1.9)),
    "quarter": ((90, 512, 512), (1.9, 0.95, 0.95)),
    "large": ((160, 512, 512), (2.5, 0.95, 0.95)),
    "half": ((180, 512, 512), (1.9, 0.95, 0.95)),
    "full": ((360, 512, 512), (1.9, 0.95, 0.95)),
}
"""Voxels and mm (Z, Y, X) of the CTs."""
ORGANS = load_profile("hn42").organs


def organs_of(tiers: Iterable[str]) -> list[str]:
    """Names of the organs of some tiers."""
    return [organ.name for organ in ORGANS if organ.tier in tiers]


OURS = {
    "cascade": [],
    "everywhere": ["--tiling", "everywhere"],
    "large": ["--tiling", "large"],
    "anchors": ["--roi-subset"] + organs_of(["anchor"]),
    "not_small": ["--roi-subset"] + organs_of(["anchor", "mid_level"]),
}
"""Further options of each variant of the cascade."""
VARIANTS = tuple(OURS) + ("stock", "phnn")
GIB = 2**30
SAMPLE_S = 0.1
STAGES = {"Predicting ": "network", "sending off": "export"}
"""What nnU-Net's lines begin with, and the stage that begins with them; before the first it is preprocessing."""


def draw(work: Path, size: str) -> Path:
    """Folder with the one CT of a size."""
    from soars_nnunet.phantom.phantom import make_phantom

    folder = work / "ct" / size
    path = folder / "ct_0000.nii.gz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        shape, spacing_mm = SIZES[size]
        sitk.WriteImage(make_phantom(1, shape, spacing_mm).ct_image(), str(path), True)
    return folder


def command_of(variant: str, ct: Path, output: Path, cascade: Cascade, device: str) -> list[str]:
    """The command that a user types."""
    if variant in OURS:
        command = ["soars-cascade-predict", "-i", str(ct), "-o", str(output), "-d", cascade.source]
        command += ["--folds", "0", "--step-size", "0.5", "--device", device, "--overwrite"]
        return command + OURS[variant]
    trainer = STOCK_TRAINER if variant == "stock" else BRANCHES["baseline"].trainer
    plans = STOCK_PLANS if variant == "stock" else DEFAULT_PLANS
    command = ["nnUNetv2_predict", "-i", str(ct), "-o", str(output), "-d", cascade.datasets["baseline"]]
    command += ["-c", CONFIGURATION, "-f", "0", "-tr", trainer, "-p", plans]
    command += ["-device", device, "--disable_tta", "-step_size", "0.5", "-npp", "1", "-nps", "1"]
    return command


def tree_bytes(process: psutil.Process) -> int:
    """Proportional set of a process and its children."""
    total = 0
    for one in [process] + process.children(recursive=True):
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total


class MemoryWatch:
    """Samples the memory of a running command, and stops it where it takes too much.

    Attributes:
        peak_bytes: Most that was seen.
        died: Why the command was stopped; empty if it was not.
    """

    def __init__(self, running: subprocess.Popen, limit_gib: float) -> None:
        self.peak_bytes = 0
        self.died = ""
        self._running, self._limit_gib = running, limit_gib
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def join(self) -> None:
        """Wait until the command has ended."""
        self._thread.join()

    def _watch(self) -> None:
        process = psutil.Process(self._running.pid)
        while self._running.poll() is None:
            try:
                self.peak_bytes = max(self.peak_bytes, tree_bytes(process))
            except psutil.Error:
                break
            if self.peak_bytes > self._limit_gib * GIB:
                self.died = f"over {self._limit_gib:g} GiB"
                for one in process.children(recursive=True) + [process]:
                    one.kill()
            time.sleep(SAMPLE_S)


def measure(command: list[str], limit_gib: float) -> dict:
    """Run a command: seconds, peak GiB, seconds by stage; ``died`` says why if it did not reach its end."""
    started = time.monotonic()
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    )
    watch = MemoryWatch(running, limit_gib)
    begun, lines = {"preprocessing": started}, []
    for line in running.stdout or ():
        lines.append(line)
        for text, stage in STAGES.items():
            if line.strip().startswith(text.strip()):
                begun.setdefault(stage, time.monotonic())
    running.wait()
    watch.join()
    ended = time.monotonic()
    died = watch.died
    if running.returncode and not died:
        died = " ".join(lines[-3:])[-300:]
    found = re.search(r"estimated peak memory ([0-9.]+) GiB", "".join(lines))
    return {
        "seconds": ended - started,
        "gib": watch.peak_bytes / GIB,
        "estimated_gib": float(found[1]) if found else None,
        "stages": stage_seconds(begun, ended),
        "died": died,
    }


def stage_seconds(begun: dict[str, float], ended: float) -> dict[str, float]:
    """How long each stage took, from the times at which they began, in that order."""
    ends = list(begun.values())[1:] + [ended]
    return {stage: end - start for (stage, start), end in zip(begun.items(), ends, strict=True)}


def cells_of(size: str, variant: str, row: dict) -> list[str]:
    """Of the printed table."""
    shape = "x".join(str(width) for width in SIZES[size][0])
    died = f" ({row['died']})" if row["died"] else ""
    stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in row["stages"].items())
    estimated = str(row["estimated_gib"] or "-")
    return [shape, variant, f"{row['seconds']:.1f}{died}", f"{row['gib']:.2f}", estimated, stages]


def main() -> None:
    """Make the models, run every variant at every size, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for models, CTs and results; models and CTs are kept")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=list(SIZES))
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument(
        "--spacing", nargs=3, default=["3", "3", "3"], metavar=("Z", "Y", "X"), help="of the networks, mm"
    )
    parser.add_argument("--device", default="cpu", help="cpu or cuda; memory is the host's in any case")
    parser.add_argument("--memory-limit", type=float, default=22.0, metavar="GIB", help="stop a run that takes more")
    parser.add_argument("--plan", nargs=argparse.REMAINDER, default=["--regime", "paper"], help="options of soars-plan")
    options = parser.parse_args()
    folders(options.work)
    cascade = make_models(options.work, options.spacing, options.plan)
    print("\n".join(markdown.heading(["CT", "variant", "s", "GiB", "estimated", "s by stage"])), flush=True)
    results = options.work / "inference.json"
    rows = read_json(results) if results.is_file() else {}
    for size in options.sizes:
        ct = draw(options.work, size)
        for variant in options.variants:
            output = options.work / "out" / f"{size}_{variant}"
            row = measure(command_of(variant, ct, output, cascade, options.device), options.memory_limit)
            if variant in OURS and not row["died"]:
                row["stages"] = read_json(output / "ct.json")["seconds"]
            rows[f"{size} {variant}"] = row
            print(markdown.row(cells_of(size, variant, row)), flush=True)
            write_json(results, rows)


if __name__ == "__main__":
    main()
