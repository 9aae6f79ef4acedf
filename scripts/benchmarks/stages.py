#!/usr/bin/env python
"""Where the time of one CT goes, from file to file, on a CPU or a GPU; networks against the device's limit.

    python -m scripts.benchmarks.stages WORK [--size full] [--device cuda] [--rounds 3] [--tiling large]
        [--nnunets-preprocessing] [--preprocess-by-branch] [--whole-scan] [--results-on-cpu]

WORK is the folder of benchmarks/inference.py with its random networks and phantom CTs (made if need be). The models are
loaded once; the CT is then read, segmented and written --rounds times after one for warming up; medians are printed,
and the peak of the device's memory. The networks' operations are counted in a further run and set against a large
matrix product of the same precision. One plain command, imports and loading included, is timed last.
"""

import argparse
import contextlib
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import SimpleITK as sitk
import torch
from torch.utils.flop_counter import FlopCounterMode

from scripts import markdown
from scripts.benchmarks.inference import SIZES, draw
from scripts.benchmarks.random_models import folders, make_models
from scripts.experiments.compare_inference import nnunets_input, whole_scan_box
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.images.ct import read_ct
from soars_nnunet.prediction.branch_model import BranchModel
from soars_nnunet.prediction.files import predict_files
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.prediction.tiling import TILING_KINDS, Tiling

NETWORKS = ("anchor", "mid_level", "detection", "small_hard")


def product_tflops(device: torch.device) -> float:
    """What a large matrix product reaches, in the precision in which the networks run."""
    size, precision = (8192, torch.float16) if device.type == "cuda" else (4096, torch.float32)
    matrix = torch.rand(size, size, device=device, dtype=precision)
    times = []
    for _ in range(8):
        started = time.perf_counter()
        (matrix @ matrix)[0, 0].item()
        times.append(time.perf_counter() - started)
    return 2 * size**3 / float(np.median(times)) / 1e12


def one(predictor: CascadePredictor, ct: Path, labels: Path) -> dict[str, float]:
    """Seconds by stage of one CT."""
    started = time.perf_counter()
    image = read_ct(ct)
    read = time.perf_counter()
    segmented, report = predictor.predict(image, "ct")
    predicted = time.perf_counter()
    sitk.WriteImage(segmented, str(labels), True)
    ended = time.perf_counter()
    seconds = {"read": read - started}
    seconds |= report["seconds"]
    return seconds | {"write": ended - predicted, "all": ended - started}


def tflop(predictor: CascadePredictor, image: sitk.Image) -> dict[str, float]:
    """Operations of the networks by branch: multiplications and additions, 10^12."""
    totals = dict.fromkeys(predictor.models, 0.0)

    def count(key: str, forward: Callable, data: torch.Tensor) -> torch.Tensor:
        with FlopCounterMode(display=False) as counter:
            output = forward(data)
        totals[key] += counter.get_total_flops() / 1e12
        return output

    with contextlib.ExitStack() as stack:
        for key, model in predictor.models.items():
            for network in model.networks:
                stack.enter_context(patch.object(network, "forward", partial(count, key, network.forward)))
        predictor.predict(image, "ct")
    return totals


def successive(manifest: Path, ct: Path, output: Path, count: int, options: PredictionOptions) -> float:
    """Seconds of several copies of a CT by one call of ``predict_files``, from when the models are loaded."""
    said: list[float] = []
    predict_files(
        [(f"ct_{index}", ct) for index in range(count)],
        output,
        manifest,
        options,
        progress=lambda text: said.append(time.perf_counter()),
    )
    return time.perf_counter() - said[0]


PREPROCESS = BranchModel.preprocess


def as_often_as_branches(model: BranchModel, channels: Any, properties: dict[str, Any]) -> Any:
    """Instead of ``BranchModel.preprocess``: of the whole CT once for each of the three branches that see it."""
    branches = 1 if model.settings.branch == "small_hard" else 3
    return [PREPROCESS(model, channels, properties) for _ in range(branches)][-1]


def parse() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiling", choices=TILING_KINDS, default="default")
    text = "resample by skimage, as nnU-Net does, instead of by matrices (to compare with)"
    parser.add_argument("--nnunets-preprocessing", action="store_true", help=text)
    text = "preprocess the CT for each branch instead of once (to compare with)"
    parser.add_argument("--preprocess-by-branch", action="store_true", help=text)
    text = "hold the networks' results on the CPU, whatever the device (to compare with)"
    parser.add_argument("--results-on-cpu", action="store_true", help=text)
    text = "lay tiles over the whole scan instead of the patient's box (to compare with)"
    parser.add_argument("--whole-scan", action="store_true", help=text)
    parser.add_argument("--spacing", nargs=3, default=["3", "3", "3"], metavar=("Z", "Y", "X"))
    parser.add_argument("--cases", type=int, default=0, help="copies of the CT that are predicted in succession")
    parser.add_argument(
        "--no-command", action="store_true", help="leave out the plain command, which knows none of the above"
    )
    return parser.parse_args()


def instead_of_ours(options: argparse.Namespace) -> contextlib.ExitStack:
    """What the options put in place of our own steps, as long as the context is open."""
    stack = contextlib.ExitStack()
    if options.nnunets_preprocessing:
        stack.enter_context(patch.object(BranchModel, "preprocess", nnunets_input))
    if options.preprocess_by_branch:
        stack.enter_context(patch.object(BranchModel, "preprocess", as_often_as_branches))
    if options.whole_scan:
        stack.enter_context(patch.object(BranchModel, "tiled_box", whole_scan_box))
    return stack


def print_stages(predictor: CascadePredictor, ct: Path, labels: Path, options: argparse.Namespace) -> float:
    """Segment the CT --rounds times after one for warming up; print a row a stage, return the seconds of all."""
    runs = [one(predictor, ct, labels) for _ in range(options.rounds + 1)]
    device = predictor.device
    cuda = device.type == "cuda"
    gib = torch.cuda.max_memory_allocated() / 2**30 if cuda else float("nan")
    name = torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads"
    operations = tflop(predictor, read_ct(ct))
    limit = product_tflops(device)
    shape = "x".join(str(width) for width in SIZES[options.size][0])
    print(f"{name}: {shape}, {len(predictor.organs)} organs, peak device memory {gib:.2f} GiB")
    print(f"a large matrix product runs at {limit:.1f} TFLOP/s")
    print("\n".join(markdown.heading(["stage", "s", "first s", "TFLOP", "TFLOP/s", "of the limit"])))
    for stage, first in runs[0].items():
        seconds = float(np.median([run[stage] for run in runs[1:]]))
        cells = [stage, f"{seconds:.2f}", f"{first:.2f}"]
        if stage in NETWORKS and seconds:
            speed = operations[stage] / seconds
            cells += [f"{operations[stage]:.2f}", f"{speed:.2f}", f"{speed / limit:.0%}"]
        else:
            cells += ["-", "-", "-"]
        print(markdown.row(cells), flush=True)
    return seconds


def time_command(options: argparse.Namespace, source: str, ct: Path, output: Path) -> float:
    """Seconds of the plain command, imports and loading included."""
    command = ["soars-cascade-predict", "-i", str(ct), "-o", str(output), "-d", source, "--overwrite"]
    command += ["--folds", "0", "--step-size", "0.5", "--device", options.device, "--tiling", options.tiling]
    started = time.perf_counter()
    subprocess.run(command, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Load once, segment several times, print."""
    options = parse()
    folders(options.work)
    cascade = make_models(options.work, options.spacing, ["--regime", "paper"])
    manifest = cascade.manifest(DEFAULT_PLANS)
    ct = draw(options.work, options.size) / "ct_0000.nii.gz"
    output = options.work / "out" / "stages"
    output.mkdir(parents=True, exist_ok=True)
    tiling = Tiling(options.tiling, step_size=0.5)
    choices = PredictionOptions(folds=[0], device=torch.device(options.device), tiling=tiling, overwrite=True)
    with instead_of_ours(options):
        started = time.perf_counter()
        predictor = CascadePredictor(manifest, choices)
        print(f"loading the models {time.perf_counter() - started:.1f} s")
        if options.results_on_cpu:
            for model in predictor.models.values():
                model.results = torch.device("cpu")
        seconds = print_stages(predictor, ct, output / "ct.nii.gz", options)
        if options.cases:
            together = successive(manifest, ct, output, options.cases, choices)
            apart = seconds * options.cases
            ratio = f"({together / apart:.2f})"
            print(f"{options.cases} CTs: {together:.1f} s side by side, {apart:.1f} s one by one {ratio}")
    if not options.no_command:
        print(f"the plain command took {time_command(options, cascade.source, ct, output):.1f} s")


if __name__ == "__main__":
    main()
