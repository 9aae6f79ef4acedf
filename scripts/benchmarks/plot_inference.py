#!/usr/bin/env python
"""Draw what benchmarks/inference.py measured, seconds and memory over the CT's voxels.

    python -m scripts.benchmarks.plot_inference WORK OUTPUT.png

Crosses are runs that did not end; dashed lines go on to them from the last that did, in proportion to the voxels.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np

from scripts.benchmarks.inference import SIZES, VARIANTS
from soars_nnunet.cascade.storage import read_json

NAMES = {
    "cascade": "cascade",
    "everywhere": "cascade, everywhere",
    "large": "cascade, large tiles",
    "anchors": "cascade, 9 organs",
    "not_small": "cascade, 30 organs",
    "stock": "nnU-Net, 43 classes",
    "phnn": "P-HNN, 43 classes, nnU-Net's predictor",
}
PANELS = {"seconds": "seconds", "gib": "peak memory, GiB"}


def voxels(size: str) -> float:
    """Millions of voxels of a CT."""
    return float(np.prod(SIZES[size][0])) / 1e6


def main() -> None:
    """Read, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    rows = read_json(options.work / "inference.json")
    figure, axes = plt.subplots(1, len(PANELS), figsize=(10, 3.6), layout="constrained")
    for axis, (key, title) in zip(axes, PANELS.items(), strict=True):
        for index, variant in enumerate(VARIANTS):
            runs = {size: rows[f"{size} {variant}"] for size in SIZES if f"{size} {variant}" in rows}
            ended = {size: run for size, run in runs.items() if not run["died"]}
            if not ended:
                continue
            x, y, colour = [voxels(size) for size in ended], [run[key] for run in ended.values()], f"C{index}"
            axis.plot(x, y, "o-", color=colour, label=NAMES[variant])
            died = {voxels(size): run[key] for size, run in runs.items() if run["died"]}
            axis.plot(list(died), list(died.values()), "x", color=colour)
            further = [x[-1], *(more for more in died if more > x[-1])]
            axis.plot(further, [y[-1] * more / x[-1] for more in further], "--", color=colour)
        axis.set(xlabel="million voxels of the CT", ylabel=title, xscale="log", yscale="log")
        axis.grid(alpha=0.3, which="both")
    axes[0].legend(fontsize=8)
    figure.savefig(options.output, dpi=110)


if __name__ == "__main__":
    main()
