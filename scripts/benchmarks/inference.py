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
from pathlib import Path

import psutil
import SimpleITK as sitk

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
OURS = {
    "cascade": [],
    "everywhere": ["--everywhere"],
    "large": ["--large-tiles"],
    "anchors": ["--roi-subset", *(organ.name for organ in ORGANS if organ.tier == "anchor")],
    "not_small": ["--roi-subset", *(organ.name for organ in ORGANS if organ.tier != "small_hard")],
}
"""Further options of each variant of the cascade."""
VARIANTS = (*OURS, "stock", "phnn")
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
        sitk.WriteImage(make_phantom(1, *SIZES[size]).ct_image(), str(path), True)
    return folder


def command_of(variant: str, ct: Path, output: Path, cascade: Cascade, device: str) -> list[str]:
    """The command that a user types."""
    if variant in OURS:
        options = ["--folds", "0", "--step-size", "0.5", "--device", device, "--overwrite"]
        command = ["soars-cascade-predict", "-i", str(ct), "-o", str(output), "-d", cascade.source]
        return [*command, *options, *OURS[variant]]
    trainer = STOCK_TRAINER if variant == "stock" else BRANCHES["baseline"].trainer
    plans = STOCK_PLANS if variant == "stock" else DEFAULT_PLANS
    options = ["-d", cascade.datasets["baseline"], "-c", CONFIGURATION, "-f", "0", "-tr", trainer, "-p", plans]
    options += ["-device", device, "--disable_tta", "-step_size", "0.5", "-npp", "1", "-nps", "1"]
    return ["nnUNetv2_predict", "-i", str(ct), "-o", str(output), *options]


def tree_bytes(process: psutil.Process) -> int:
    """Proportional set of a process and its children."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total


def measure(command: list[str], limit_gib: float) -> dict:
    """Run a command: seconds, peak GiB, seconds by stage; ``died`` says why if it did not reach its end."""
    started = time.monotonic()
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    )
    peak, died = 0, ""

    def watch() -> None:
        nonlocal peak, died
        process = psutil.Process(running.pid)
        while running.poll() is None:
            try:
                peak = max(peak, tree_bytes(process))
            except psutil.Error:
                break
            if peak > limit_gib * GIB:
                died = f"over {limit_gib:g} GiB"
                for one in (*process.children(recursive=True), process):
                    one.kill()
            time.sleep(SAMPLE_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    begun, lines = {"preprocessing": started}, []
    assert running.stdout is not None
    for line in running.stdout:
        lines.append(line)
        for text, stage in STAGES.items():
            if line.startswith(text) or (line.strip().startswith(text)):
                begun.setdefault(stage, time.monotonic())
    running.wait()
    watcher.join()
    if running.returncode and not died:
        died = " ".join(lines[-3:])[-300:]
    ends = [*list(begun.values())[1:], time.monotonic()]
    stages = {stage: end - start for (stage, start), end in zip(begun.items(), ends, strict=True)}
    found = re.search(r"estimated peak memory ([0-9.]+) GiB", "".join(lines))
    estimate = float(found[1]) if found else None
    return {
        "seconds": time.monotonic() - started,
        "gib": peak / GIB,
        "estimated_gib": estimate,
        "stages": stages,
        "died": died,
    }


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
    print("| CT | variant | s | GiB | estimated | s by stage |", "|---" * 6 + "|", sep="\n", flush=True)
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
            stages = ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in row["stages"].items())
            shape = "x".join(map(str, SIZES[size][0]))
            died = f" ({row['died']})" if row["died"] else ""
            cells = [
                shape,
                variant,
                f"{row['seconds']:.1f}{died}",
                f"{row['gib']:.2f}",
                row["estimated_gib"] or "-",
                stages,
            ]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
            write_json(results, rows)


if __name__ == "__main__":
    main()
