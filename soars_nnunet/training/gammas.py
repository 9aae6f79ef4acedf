"""Course of a search: gamma of every epoch as a CSV file and as a plot.

Histories are (E, 4, 6): epoch, block, kind in the order of ``KINDS``; every row sums to 1.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from soars_nnunet.cascade.storage import replacing
from soars_nnunet.networks.genotype import KINDS, NUM_BLOCKS

HEADER = ("epoch", "block", *KINDS)


def read_gammas(path: Path) -> np.ndarray:
    """History (E, 4, 6) of a file from ``write_gammas``; (0, 4, 6) if there is none."""
    if not path.is_file():
        return np.zeros((0, NUM_BLOCKS, len(KINDS)))
    with open(path, encoding="utf-8", newline="") as file:
        rows = []
        for row in csv.DictReader(file):
            rows.append([float(row[kind]) for kind in KINDS])
    return np.array(rows).reshape(-1, NUM_BLOCKS, len(KINDS))


def write_gammas(path: Path, history: np.ndarray) -> None:
    """Write a history (E, 4, 6) as CSV, one row a block and epoch; epochs and blocks count from 0 and 1."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for epoch, blocks in enumerate(history):
            for block, gammas in enumerate(blocks, start=1):
                texts = [f"{gamma:.9g}" for gamma in gammas]
                writer.writerow([epoch, block] + texts)


def gamma_lines(gammas: np.ndarray) -> list[str]:
    """Text of gammas (4, 6): one line a block."""
    lines = []
    for block, row in enumerate(gammas, start=1):
        shares = [f"{kind} {gamma:.4f}" for kind, gamma in zip(KINDS, row, strict=True)]
        lines.append(f"gamma block {block}: " + "  ".join(shares))
    return lines


def plot_gammas(path: Path, history: np.ndarray, frozen_epochs: int) -> None:
    """Draw a history (E, 4, 6) as PNG: one panel a block, shaded while alpha was frozen."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.2), layout="constrained")
    panels = figure.subplots(1, NUM_BLOCKS, sharey=True)
    epochs = np.arange(len(history))
    for block, panel in enumerate(panels):
        for kind, course in zip(KINDS, history[:, block].T, strict=True):
            panel.plot(epochs, course, label=kind, marker="." if len(history) < 2 else None)
        panel.axvspan(-0.5, frozen_epochs - 0.5, color="0.92", zorder=0)
        panel.set(title=f"block {block + 1}", xlabel="epoch", xlim=(-0.5, max(len(history), frozen_epochs) - 0.5))
    panels[0].set_ylabel("gamma")
    panels[-1].legend(fontsize="small")
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=100)
