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
import subprocess
import sys
import time
from pathlib import Path

MODULE = "scripts.benchmarks.supernet"
VARIANTS = ("six_branches", "merged", "channels_last", "recomputed")
SWEEP = [(side, first) for first in (8, 16, 32) for side in (32, 48, 64)]
"""Side of the cubic patch, channels of the first block (doubled in each further block)."""


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Seconds and peak MiB of one variant."""
    import torch

    from scripts.benchmarks.six_branches import to_six_branches
    from soars_nnunet.networks.supernet import MixedConv, SuperPHNN
    from soars_nnunet.training.losses import DiceCELoss

    torch.manual_seed(0)
    device = torch.device(options.device)
    cuda = device.type == "cuda"
    net = SuperPHNN(options.channels, options.classes, options.widths)
    if options.variant == "six_branches":
        to_six_branches(net)
    for unit in (module for module in net.modules() if isinstance(module, MixedConv)):
        unit.channels_last = options.variant in ("channels_last", "recomputed")
        unit.recompute = options.variant == "recomputed"
    net.to(device).train()
    torch.backends.cudnn.benchmark = True  # as nnU-Net trains
    image = torch.randn(options.batch, options.channels, *options.patch, device=device)
    target = torch.randint(0, options.classes, (options.batch, 1, *options.patch), device=device)
    loss = DiceCELoss()
    optimizer = torch.optim.RAdam(net.parameters(), lr=1e-3)
    for parameter in net.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()  # makes its state
    optimizer.zero_grad(set_to_none=True)
    forward = torch.compile(net) if options.compile else net
    base = torch.cuda.memory_allocated() if cuda else resident_bytes()
    seconds = []
    for step in range(options.steps + 1):
        if cuda and step == 1:
            torch.cuda.reset_peak_memory_stats()  # the first step tries algorithms
        started = time.perf_counter()
        with torch.autocast(device.type, enabled=cuda):
            total = sum(loss(output, target) for output in forward(image)) / 4
        total.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if cuda:
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
    if options.profile:
        activity = torch.profiler.ProfilerActivity
        with torch.profiler.profile(activities=[activity.CPU, *[activity.CUDA] * cuda], record_shapes=True) as profile:
            sum(loss(output, target) for output in forward(image)).backward()
        print(profile.key_averages(group_by_input_shape=True).table(sort_by="self_cpu_time_total", row_limit=15))
    peak = torch.cuda.max_memory_allocated() if cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": statistics.median(seconds[1:]), "mib": (peak - base) / 2**20, "loss": total.item()}


def resident_bytes() -> int:
    """Resident set of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def compare(arguments: list[str], rounds: int) -> dict[str, list[float]]:
    """Alternate the variants in fresh processes; print and return medians by variant."""
    results: dict[str, list[dict]] = {variant: [] for variant in VARIANTS}
    for index in range(rounds):
        for variant in VARIANTS:
            command = [sys.executable, "-m", MODULE, *arguments, "--variant", variant]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            results[variant].append(json.loads(done.stdout.splitlines()[-1]))
            row = results[variant][-1]
            print(f"round {index + 1} {variant:12} {row['seconds']:.3f} s  {row['mib']:.0f} MiB", flush=True)
    medians = {
        what: [statistics.median(row[what] for row in results[variant]) for variant in VARIANTS]
        for what in ("seconds", "mib")
    }
    for what, values in medians.items():
        row = "  ".join(
            f"{name} {value:.3f} ({value / values[0]:.3f})" for name, value in zip(VARIANTS, values, strict=True)
        )
        print(f"{what}, (ratio to six branches): {row}", flush=True)
    return medians


def sweep(arguments: list[str], rounds: int) -> None:
    """Print a Markdown table of all sizes between the measurements; merged means recomputed too, as the search runs."""
    print(
        "| patch | channels | six branches s | MiB | merged s | ratio | MiB | ratio |\n" + "|---" * 8 + "|", flush=True
    )
    for side, first in SWEEP:
        widths = [str(first * 2**block) for block in range(4)]
        print(f"{side}^3, {'-'.join(widths)}", flush=True)
        size = ["--patch", *[str(side)] * 3, "--widths", *widths]
        seconds, mib = compare([*arguments, *size], rounds).values()
        row = f"| {seconds[0]:.2f} | {mib[0]:.0f} | {seconds[-1]:.2f} | {seconds[-1] / seconds[0]:.2f} "
        print(f"| {side}^3 | {'-'.join(widths)} {row}| {mib[-1]:.0f} | {mib[-1] / mib[0]:.2f} |", flush=True)


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
