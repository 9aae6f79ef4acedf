#!/usr/bin/env python
"""Time of a network's pass over one tile in several ways, as ratios in one run, and whether labels stay the same.

    python -m scripts.benchmarks.forward [--branch mid_level] [--tile 48 96 96] [--device cpu] [--rounds 5]

A branch's network as published, of 22 outputs from CT and 9 anchors (anchor: from CT), with random weights. "plain"
runs tile by tile in NCDHW and adds up the blocks' scores at low resolution, which are interpolated to full size once;
"all sums" interpolates every block's scores, as training does. Prediction runs on two such tiles at a time, BatchNorm
folded into the convolutions, on a CPU channels-last. The rows take turns round by round; the median is printed. Labels
are those of the argmax.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy

import numpy as np
import torch

from scripts import markdown
from soars_nnunet.networks.genotype import published_genotype
from soars_nnunet.networks.phnn import PHNN

NUM_CLASSES = 22
STRIDES = ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))
BATCH = 4

Way = Callable[[], torch.Tensor]


def ways(network: PHNN, branch: str, tiles: torch.Tensor) -> Iterator[tuple[str, Way]]:
    """Name and pass over ``BATCH`` tiles (B, C, Z, Y, X), which gives labels (B, Z, Y, X)."""
    device = tiles.device.type

    def each(run: Callable[[torch.Tensor], torch.Tensor]) -> Way:
        return lambda: torch.cat([run(tile[None]).argmax(1) for tile in tiles])

    def all_sums(tile: torch.Tensor) -> torch.Tensor:
        network.deep_supervision = True
        try:
            return network(tile)[0]
        finally:
            network.deep_supervision = False

    def in_precision(network: PHNN, precision: torch.dtype) -> Callable[[torch.Tensor], torch.Tensor]:
        def run(tile: torch.Tensor) -> torch.Tensor:
            with torch.autocast(device, precision):
                return network(tile)

        return run

    yield "plain", each(network)
    yield "all sums", each(all_sums)
    yield f"{BATCH} tiles a batch", lambda: network(tiles).argmax(1)
    twin = PHNN(tiles.shape[1], NUM_CLASSES, published_genotype(branch), **shape_of(network)).to(tiles.device).eval()
    twin.load_state_dict(network.state_dict())
    twin.to(memory_format=torch.channels_last_3d)
    yield "channels-last", each(twin)
    yield "channels-last, 2 tiles a batch", lambda: torch.cat([twin(pair).argmax(1) for pair in tiles.split(2)])
    folded = deepcopy(twin)
    folded.fold_batch_norm()
    yield "the same, BatchNorm folded", lambda: torch.cat([folded(pair).argmax(1) for pair in tiles.split(2)])
    yield "torch.compile", each(torch.compile(network))
    for precision in (torch.bfloat16, torch.float16):
        if device == "cuda" or precision == torch.bfloat16:
            name = str(precision).removeprefix("torch.")
            yield name, each(in_precision(network, precision))
            yield f"{name}, channels-last", each(in_precision(twin, precision))


def shape_of(network: PHNN) -> dict:
    """Arguments that make the same network again."""
    widths = [score.in_channels for score in network.score_convs]
    return {"features_per_stage": widths, "strides": STRIDES, "deep_supervision": False}


def take_turns(
    chosen: Mapping[str, Way], rounds: int, cuda: bool
) -> tuple[dict[str, list[float]], dict[str, torch.Tensor]]:
    """Seconds of every way in every round, after one for compiling and warming up; and the labels that it gives."""
    seconds: dict[str, list[float]] = {name: [] for name in chosen}
    labels = {}
    for turn in range(rounds + 1):
        for name, way in chosen.items():
            started = time.perf_counter()
            labels[name] = way()
            if cuda:
                torch.cuda.synchronize()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds, labels


@torch.inference_mode()
def main() -> None:
    """Measure all ways in turns; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--branch", default="mid_level", choices=("anchor", "mid_level", "detection", "small_hard"))
    parser.add_argument("--tile", type=int, nargs=3, default=[48, 96, 96], metavar=("Z", "Y", "X"))
    parser.add_argument("--channels", type=int, nargs=4, default=[32, 64, 128, 256])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--skip", nargs="*", default=[], help="rows to leave out")
    options = parser.parse_args()
    torch.manual_seed(0)
    arguments = {"features_per_stage": options.channels, "strides": STRIDES, "deep_supervision": False}
    num_channels = 1 if options.branch == "anchor" else 10
    network = PHNN(num_channels, NUM_CLASSES, published_genotype(options.branch), **arguments)
    network.apply(network.initialize).to(options.device).eval()
    if options.device.startswith("cuda"):
        print(torch.cuda.get_device_name())
    tiles = torch.rand(BATCH, num_channels, *options.tile, device=options.device)
    chosen = {name: way for name, way in ways(network, options.branch, tiles) if name not in options.skip}
    seconds, labels = take_turns(chosen, options.rounds, options.device.startswith("cuda"))
    tile = "x".join(str(width) for width in options.tile)
    print(f"{options.branch}: {BATCH} tiles of {tile}, {torch.get_num_threads()} threads, {options.device}")
    print("\n".join(markdown.heading(["way", "s", "ratio", "labels that differ"])))
    base = float(np.median(seconds["plain"]))
    for name, values in seconds.items():
        differing = (labels[name] != labels["plain"]).double().mean().item()
        median = float(np.median(values))
        print(markdown.row([name, f"{median:.4f}", f"{median / base:.2f}", f"{differing:.2e}"]))


if __name__ == "__main__":
    main()
