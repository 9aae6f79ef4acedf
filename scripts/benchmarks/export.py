#!/usr/bin/env python
"""Time and memory from network outputs to one label volume: ours organ by organ against nnU-Net's export.

    python -m scripts.benchmarks.export WORK [--grid 120 512 512 --image 158 528 528] [--classes 43]

WORK is the folder of benchmarks/inference.py, whose stock plans nnU-Net exports by. Outputs are made of a phantom's
organs at the networks' grid: smooth logits of all classes for nnU-Net; softmaxes of anchors and mid-level, and of a VOI
a target, for ours. Each variant is a fresh process. Seconds and memory are those of the export alone, above the outputs
that are held already, which are given beside. With fewer ``--classes`` the first organs of each tier are taken.
"""

import argparse
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch
from torch.nn import functional

from scripts import markdown
from scripts.benchmarks.fresh_process import DiedError, as_arguments, run_fresh
from scripts.benchmarks.random_models import DATASET, STOCK_PLANS, folders
from soars_nnunet.cascade.plans_file import CONFIGURATION
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.geometry.grid import Grid
from soars_nnunet.geometry.stitch import Candidate, merge_tiers, tier_argmax
from soars_nnunet.geometry.voi import target_extents_mm, voi_box, voi_size_mm
from soars_nnunet.phantom.phantom import make_phantom
from soars_nnunet.profile import Organ, Profile

MODULE = "scripts.benchmarks.export"
VARIANTS = ("ours", "stock")
GIB = 2**30
HEIGHT = 8.0
"""Logit of an organ inside of it; outside it has the opposite sign, between them it is smooth."""
EXTENT_MM = (360.0, 480.0, 480.0)
"""What the volume covers (Z, Y, X)."""


def logits(labels: np.ndarray, values: list[int]) -> torch.Tensor:
    """(1 + len(values), Z, Y, X) float32: background, then each label."""
    found = torch.empty(1 + len(values), *labels.shape)
    organs = np.isin(labels, values)
    masks = [~organs] + [labels == value for value in values]
    for channel, mask in enumerate(masks):
        inside = torch.from_numpy(mask.astype(np.float32))[None, None]
        found[channel] = functional.avg_pool3d(inside, 3, 1, 1)[0, 0].mul_(2 * HEIGHT).sub_(HEIGHT)
    return found


def measure(step: Callable[[], torch.Tensor | np.ndarray]) -> dict[str, float]:
    """Seconds of a step, memory held before and peak above that."""
    process = psutil.Process()
    before = peak = process.memory_info().rss
    running = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not running.wait(0.02):
            peak = max(peak, process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    labels = step()
    seconds = time.perf_counter() - started
    running.set()
    watcher.join()
    organs = len(np.unique(labels)) - 1
    return {"seconds": seconds, "gib": (peak - before) / GIB, "held_gib": before / GIB, "organs": organs}


def first_organs(profile: Profile, classes: int) -> list[Organ]:
    """As many organs as there are foreground classes, of every tier its share."""
    share = (classes - 1) / len(profile.organs)
    tiers: dict[str, list[Organ]] = {}
    for organ in profile.organs:
        tiers.setdefault(organ.tier, []).append(organ)
    chosen = []
    for organs in tiers.values():
        chosen += organs[: max(1, round(share * len(organs)))]
    return chosen


def whole_grid(image: tuple[int, ...], shape: tuple[int, ...], spacing_mm: np.ndarray) -> Grid:
    """A network grid that covers an image."""
    return Grid(image, tuple((0, size) for size in image), shape, tuple(spacing_mm.tolist()))


def stock(labels: np.ndarray, organs: list[Organ], image: tuple[int, ...], cascade: Cascade) -> dict[str, float]:
    """nnU-Net's own export of all classes."""
    from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(read_json(cascade.plans("baseline", STOCK_PLANS)))
    names = {"background": 0}
    for organ in organs:
        names[organ.name] = len(names)
    manager = plans.get_label_manager(read_json(cascade.raw("baseline") / "dataset.json") | {"labels": names})
    outputs = logits(labels, [organ.label for organ in organs]).half()  # as nnU-Net's predictor gives them
    properties = {
        "spacing": [mm / voxels for mm, voxels in zip(EXTENT_MM, image, strict=True)],
        "shape_before_cropping": image,
        "shape_after_cropping_and_before_resampling": image,
        "bbox_used_for_cropping": [[0, size] for size in image],
    }
    configuration = plans.get_configuration(CONFIGURATION)
    export = convert_predicted_logits_to_segmentation_with_correct_shape
    return measure(lambda: export(outputs, plans, configuration, manager, properties, False, torch.get_num_threads()))


@dataclass(frozen=True)
class Output:
    """A softmax as a network gives it, and how it goes into the image.

    Attributes:
        probabilities: (C, Z, Y, X).
        grid: Of the probabilities.
        final: Label in the image of each channel; 0 for channels that may not win there.
        offset: First voxel (Z, Y, X) in the image.
    """

    probabilities: torch.Tensor
    grid: Grid
    final: list[int]
    offset: tuple[int, ...] = (0, 0, 0)


def tier_output(labels: np.ndarray, values: list[int], grid: Grid) -> Output:
    """Softmax of a tier over the whole volume."""
    return Output(torch.softmax(logits(labels, values), 0), grid, [0] + values)


def voi_output(
    labels: np.ndarray, values: list[int], own: list[int], step: np.ndarray, spacing_mm: np.ndarray
) -> Output | None:
    """Softmax of a target's VOI; None where none of its organs is in the volume.

    Args:
        labels: Volume (Z, Y, X) on the networks' grid.
        values: Labels of all small & hard organs.
        own: Labels of the target's organs.
        step: Image voxels per voxel of the networks' grid (Z, Y, X).
        spacing_mm: Of the image (Z, Y, X), mm.
    """
    hits = np.argwhere(np.isin(labels, own))
    if not len(hits) or not set(own) & set(values):
        return None
    extent_mm = target_extents_mm(labels, [own], spacing_mm * step)
    box = voi_box(hits.mean(0) * step, voi_size_mm(extent_mm[None])[0], spacing_mm)
    inside, shape, offset = [], [], []
    for (first, end), width in zip(box, step, strict=True):
        inside.append(slice(max(0, int(first / width)), int(end / width) + 1))
        shape.append(end - first)
        offset.append(first)
    part = labels[tuple(inside)]
    final = [0]
    for value in values:
        final.append(value if value in own else 0)
    grid = whole_grid(tuple(shape), part.shape, spacing_mm)
    return Output(torch.softmax(logits(part, values), 0), grid, final, tuple(offset))


def ours(labels: np.ndarray, organs: list[Organ], image: tuple[int, ...], cascade: Cascade) -> dict[str, float]:
    """Each tier organ by organ, then VOIs, by precedence."""
    profile = cascade.profile
    spacing_mm = np.array(EXTENT_MM) / image
    step = np.array(image) / labels.shape
    whole = whole_grid(image, labels.shape, spacing_mm)
    by_tier: dict[str, list[int]] = {"anchor": [], "mid_level": [], "small_hard": []}
    for organ in organs:
        by_tier[organ.tier].append(organ.label)
    outputs = [tier_output(labels, by_tier[tier], whole) for tier in ("anchor", "mid_level")]
    for members in profile.targets.values():
        own = [organ.label for organ in members]
        output = voi_output(labels, by_tier["small_hard"], own, step, spacing_mm)
        if output is not None:
            outputs.append(output)

    def candidates() -> Iterator[Candidate]:
        for output in outputs:
            yield tier_argmax(output.probabilities, output.grid).to_candidate(output.final, output.offset)

    precedence = np.zeros(1 + len(profile.organs), int)
    for organ in profile.organs:
        precedence[organ.label] = organ.precedence
    return measure(lambda: merge_tiers(image, candidates(), precedence))


def parse() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--grid", type=int, nargs=3, default=[120, 512, 512], metavar=("Z", "Y", "X"))
    parser.add_argument("--image", type=int, nargs=3, default=[158, 528, 528], metavar=("Z", "Y", "X"))
    parser.add_argument("--classes", type=int, nargs="+", default=[43], help="with the background")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure_variant(options: argparse.Namespace) -> dict[str, float]:
    """One variant in this process."""
    cascade = Cascade.load(DATASET)
    spacing_mm = tuple(mm / voxels for mm, voxels in zip(EXTENT_MM, options.grid, strict=True))
    labels = make_phantom(0, tuple(options.grid), spacing_mm).labels
    organs = first_organs(cascade.profile, options.classes[0])
    run = ours if options.variant == "ours" else stock
    return run(labels, organs, tuple(options.image), cascade)


def main() -> None:
    """Measure each variant in a fresh process; print a table."""
    options = parse()
    folders(options.work)
    if options.variant:
        print(json.dumps(measure_variant(options)))
        return
    grid, image = as_arguments(options.grid), as_arguments(options.image)
    shapes = f"{'x'.join(grid)} to {'x'.join(image)}"
    header = ["grids", "classes", "variant", "s", "GiB", "outputs GiB", "labels"]
    print("\n".join(markdown.heading(header)), flush=True)
    rows = {}
    for classes in options.classes:
        for variant in options.variants:
            arguments = [str(options.work), "--variant", variant, "--classes", str(classes)]
            arguments += ["--grid"] + grid + ["--image"] + image
            cells = [shapes, str(classes), variant]
            try:
                row = run_fresh(MODULE, arguments)
            except DiedError as error:
                cells += [f"died ({error})", "-", "-", "-"]
            else:
                rows[f"{shapes} {classes} {variant}"] = row
                cells += [f"{row['seconds']:.2f}", f"{row['gib']:.2f}", f"{row['held_gib']:.2f}", str(row["organs"])]
            print(markdown.row(cells), flush=True)
    (options.work / "export.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
