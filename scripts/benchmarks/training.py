#!/usr/bin/env python
"""Time of a P-HNN training step on CPU with contiguous and with channels-last kernels, in one process.

    python -m scripts.benchmarks.training [--patch 56 40 40 --batch 2 --channels 1 --classes 4 --rounds 7]

A step is forward, the four losses, backward and the optimiser, for the published genotype of every branch.
The two variants alternate; medians and their ratio are printed.
"""

import argparse
import statistics
import time

import torch

from scripts import markdown
from soars_nnunet.branches import BRANCHES
from soars_nnunet.networks.genotype import published_genotype
from soars_nnunet.networks.phnn import PHNN
from soars_nnunet.training.losses import DiceCELoss

FORMATS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last_3d}


def seconds_per_step(genotype: list[str], options: argparse.Namespace) -> dict[str, float]:
    """Median seconds by memory format."""
    image = torch.randn(options.batch, options.channels, *options.patch)
    target = torch.randint(0, options.classes, (options.batch, 1, *options.patch))
    loss, steps = DiceCELoss(), {}
    for name, memory_format in FORMATS.items():
        net = PHNN(options.channels, options.classes, genotype, options.widths)
        net.to(memory_format=memory_format).train()
        steps[name] = (net, torch.optim.RAdam(net.parameters(), lr=1e-3))
    seconds: dict[str, list[float]] = {name: [] for name in FORMATS}
    for _ in range(options.rounds + 1):
        for name, (net, optimizer) in steps.items():
            started = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            (sum(loss(output, target) for output in net(image)) / 4).backward()
            optimizer.step()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}


def main() -> None:
    """Parse, measure, print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patch", type=int, nargs=3, default=[56, 40, 40])
    parser.add_argument("--widths", type=int, nargs=4, default=[16, 32, 64, 128])
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--channels", type=int, default=1)
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    print("\n".join(markdown.heading(["genotype", "contiguous s", "channels last s", "ratio"])))
    for branch in ("anchor", "mid_level", "small_hard"):
        genotype = published_genotype(branch)
        before, after = seconds_per_step(genotype, options).values()
        name = f"{BRANCHES[branch].suffix} {' '.join(genotype)}"
        print(markdown.row([name, f"{before:.3f}", f"{after:.3f}", f"{after / before:.2f}"]))


if __name__ == "__main__":
    main()
