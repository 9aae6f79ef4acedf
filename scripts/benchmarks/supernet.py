#!/usr/bin/env python
"""Time and peak memory of a super-network step: merged against six branches, each run in a fresh process.

    python -m scripts.benchmarks.supernet [--patch 64 64 64 --widths 16 32 64 128 --batch 2 --device cpu --rounds 3]
    python -m scripts.benchmarks.supernet --sweep [--rounds 1]     # a table over patch sizes and widths

Each variant adds to the one before: ``merged`` convolutions in the usual memory format, ``channels_last`` (CPU),
``recomputed`` intermediates, which is what the search runs. A step is forward, the four losses, backward and
the optimiser. Memory is the peak above the process with network, data and
optimiser state (CPU: resident set; GPU: allocated). Rounds alternate; medians are printed.
"""

import argparse
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from scripts import markdown
from scripts.benchmarks.fresh_process import run_fresh
from scripts.benchmarks.six_branches import to_six_branches
from soars_nnunet.networks.supernet import MixedConv, SuperPHNN
from soars_nnunet.training.losses import DiceCELoss

MODULE = "scripts.benchmarks.supernet"
VARIANTS = ("six_branches", "merged", "channels_last", "recomputed")
SWEEP = [(side, first) for first in (8, 16, 32) for side in (32, 48, 64)]
"""Side of the cubic patch, channels of the first block (doubled in each further block)."""


def make_network(options: argparse.Namespace) -> torch.nn.Module:
    """The super-network as the variant runs it, in training mode."""
    net = SuperPHNN(options.channels, options.classes, options.widths)
    if options.variant == "six_branches":
        to_six_branches(net)
    for module in net.modules():
        if isinstance(module, MixedConv):
            module.channels_last = options.variant in ("channels_last", "recomputed")
            module.recompute = options.variant == "recomputed"
    return net.to(options.device).train()


def make_optimizer(net: torch.nn.Module) -> torch.optim.Optimizer:
    """An optimiser that has made its state."""
    optimizer = torch.optim.RAdam(net.parameters(), lr=1e-3)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return optimizer


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Median seconds of a step, peak MiB and loss of one variant."""
    torch.manual_seed(0)
    cuda = options.device.startswith("cuda")
    torch.backends.cudnn.benchmark = True  # as nnU-Net trains
    net = make_network(options)
    image = torch.randn(options.batch, options.channels, *options.patch, device=options.device)
    target = torch.randint(0, options.classes, (options.batch, 1, *options.patch), device=options.device)
    loss = DiceCELoss()
    optimizer = make_optimizer(net)
    forward = torch.compile(net) if options.compile else net
    base = torch.cuda.memory_allocated() if cuda else resident_bytes()
    seconds = []
    for step in range(options.steps + 1):
        if cuda and step == 1:
            torch.cuda.reset_peak_memory_stats()  # the first step tries algorithms
        started = time.perf_counter()
        with torch.autocast(torch.device(options.device).type, enabled=cuda):
            total = sum(loss(output, target) for output in forward(image)) / 4
        total.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    if options.profile:
        print_profile(lambda: sum(loss(output, target) for output in forward(image)).backward(), cuda)
    peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": statistics.median(seconds[1:]), "mib": (peak - base) / 2**20, "loss": total.item()}


def print_profile(step: Callable[[], None], cuda: bool) -> None:
    """Where the time of a step goes."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if cuda:
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities, record_shapes=True) as profile:
        step()
    print(profile.key_averages(group_by_input_shape=True).table(sort_by="self_cpu_time_total", row_limit=15))


def resident_bytes() -> int:
    """Resident set of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def compare(arguments: list[str], rounds: int) -> dict[str, list[float]]:
    """Alternate the variants in fresh processes; print and return medians by variant, of ``seconds`` and ``mib``."""
    results: dict[str, list[dict]] = {variant: [] for variant in VARIANTS}
    for index in range(rounds):
        for variant in VARIANTS:
            row = run_fresh(MODULE, arguments + ["--variant", variant])
            results[variant].append(row)
            print(f"round {index + 1} {variant:12} {row['seconds']:.3f} s  {row['mib']:.0f} MiB", flush=True)
    medians: dict[str, list[float]] = {}
    for what in ("seconds", "mib"):
        medians[what] = []
        parts = []
        for variant, rows in results.items():
            median = statistics.median(row[what] for row in rows)
            medians[what].append(median)
            parts.append(f"{variant} {median:.3f} ({median / medians[what][0]:.3f})")
        print(f"{what}, (ratio to six branches): {'  '.join(parts)}", flush=True)
    return medians


def sweep(arguments: list[str], rounds: int) -> None:
    """Print a Markdown table of all sizes between the measurements; merged means recomputed too, as the search runs."""
    header = ["patch", "channels", "six branches s", "MiB", "merged s", "ratio", "MiB", "ratio"]
    print("\n".join(markdown.heading(header)), flush=True)
    for side, first in SWEEP:
        widths = [str(first * 2**block) for block in range(4)]
        name = "-".join(widths)
        print(f"{side}^3, {name}", flush=True)
        size = ["--patch"] + [str(side)] * 3 + ["--widths"] + widths
        medians = compare(arguments + size, rounds)
        six_s, merged_s = medians["seconds"][0], medians["seconds"][-1]
        six_mib, merged_mib = medians["mib"][0], medians["mib"][-1]
        cells = [f"{side}^3", name, f"{six_s:.2f}", f"{six_mib:.0f}", f"{merged_s:.2f}", f"{merged_s / six_s:.2f}"]
        cells += [f"{merged_mib:.0f}", f"{merged_mib / six_mib:.2f}"]
        print(markdown.row(cells), flush=True)


def main() -> None:
    """Parse the options; without ``--variant`` compare both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patch", type=int, nargs=3, default=[64, 64, 64])
    parser.add_argument("--widths", type=int, nargs=4, default=[16, 32, 64, 128])
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--compile", action="store_true", help="torch.compile, as nnU-Net on a GPU")
    parser.add_argument("--profile", action="store_true", help="with --variant: print where the time goes")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sweep", action="store_true", help="all patch sizes and widths of the table")
    parser.add_argument("--variant", choices=VARIANTS, help="measure only this one, in this process")
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure(options)))
    elif options.sweep:
        sweep([argument for argument in sys.argv[1:] if argument != "--sweep"], options.rounds)
    else:
        compare(sys.argv[1:], options.rounds)


if __name__ == "__main__":
    main()
