#!/usr/bin/env python
"""Draw what benchmarks/inference.py measured, seconds and memory over the CT's voxels.

    python -m scripts.benchmarks.plot_inference WORK OUTPUT.png

Crosses are runs that did not end; dashed lines go on to them from the last that did, in proportion to the voxels.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

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


def draw_variant(axis: Axes, runs: Mapping[str, dict], key: str, variant: str) -> None:
    """One line of a panel.

    Args:
        axis: The panel.
        runs: What was measured, by size, smallest first.
        key: Which value is drawn, of ``PANELS``.
        variant: Whose runs they are.
    """
    ended_x, ended_y, died_x, died_y = [], [], [], []
    for size, run in runs.items():
        if run["died"]:
            died_x.append(voxels(size))
            died_y.append(run[key])
        else:
            ended_x.append(voxels(size))
            ended_y.append(run[key])
    if not ended_x:
        return
    color = f"C{VARIANTS.index(variant)}"
    last_x, last_y = ended_x[-1], ended_y[-1]
    further = [last_x]
    for more in died_x:
        if more > last_x:
            further.append(more)
    axis.plot(ended_x, ended_y, "o-", color=color, label=NAMES[variant])
    axis.plot(died_x, died_y, "x", color=color)
    axis.plot(further, last_y * np.array(further) / last_x, "--", color=color)


def main() -> None:
    """Read, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("output", type=Path)
    options = parser.parse_args()
    rows = read_json(options.work / "inference.json")
    figure, axes = plt.subplots(1, len(PANELS), figsize=(10, 3.6), layout="constrained")
    for axis, (key, title) in zip(axes, PANELS.items(), strict=True):
        for variant in VARIANTS:
            runs = {size: rows[f"{size} {variant}"] for size in SIZES if f"{size} {variant}" in rows}
            draw_variant(axis, runs, key, variant)
        axis.set(xlabel="million voxels of the CT", ylabel=title, xscale="log", yscale="log")
        axis.grid(alpha=0.3, which="both")
    axes[0].legend(fontsize=8)
    figure.savefig(options.output, dpi=110)


if __name__ == "__main__":
    main()
