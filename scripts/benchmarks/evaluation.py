#!/usr/bin/env python
"""Seconds and peak memory to score 42 organs at full size, against whole-volume use of the same libraries.

    python -m scripts.benchmarks.evaluation [--shape 360 512 512] [--naive-organs 3]

Draws a phantom's 42 organs at half the size and doubles every voxel; the prediction is the same, moved by a voxel
along each axis, in the second pair with one stray voxel an organ at the far end of the scan. Each variant runs in
a fresh process and includes reading the files:

  ours            what soars-evaluate does with a case (all metrics of 42 organs, targets)
  ours, strays    the same with the stray voxels
  scipy, whole    HD, HD95 and ASD by scipy's erosion and distance transform on whole-volume masks
  monai, whole    Dice, HD, HD95, ASD and surface DSC by MONAI's functions on whole-volume masks

The last two score the first ``--naive-organs`` organs only, as they take so long; their seconds are given by organ.
CPU seconds are those of the process; wall seconds also count the waiting for a busy machine.
"""

import argparse
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripts import markdown
from scripts.benchmarks.fresh_process import run_fresh

MODULE = "scripts.benchmarks.evaluation"
VARIANTS = ("ours", "ours, strays", "scipy, whole", "monai, whole")


def draw(folder: Path, shape: tuple[int, int, int]) -> None:
    """Write reference, prediction and prediction with strays as NIfTI."""
    from soars_nnunet.phantom.phantom import make_phantom

    spacing_mm = (360.0 / shape[0], 500.0 / shape[1], 500.0 / shape[2])
    half_shape = tuple(size // 2 for size in shape)
    double_mm = tuple(2 * mm for mm in spacing_mm)
    small = make_phantom(0, half_shape, double_mm).labels
    labels = small.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    moved = np.roll(labels, (1, 1, 1), (0, 1, 2))
    strays = moved.copy()
    for label in range(1, 43):
        strays[-1 - label % 5, -1 - 3 * label, -5] = label
    for name, array in (("reference", labels), ("prediction", moved), ("strays", strays)):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(spacing_mm[::-1])
        (folder / name).mkdir()
        sitk.WriteImage(image, str(folder / name / "phantom.nii.gz"))
    print(f"{len(np.unique(labels)) - 1} organs, {np.count_nonzero(labels)} voxels of {labels.size}", flush=True)


def whole_volumes(folder: Path, organs: int) -> tuple[Iterator[tuple[np.ndarray, np.ndarray]], tuple[float, ...]]:
    """Masks of the first organs over the whole volume, made as they are asked for, and the spacing (Z, Y, X)."""
    image = sitk.ReadImage(str(folder / "prediction" / "phantom.nii.gz"))
    predicted = sitk.GetArrayFromImage(image)
    truth = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "reference" / "phantom.nii.gz")))
    pairs = ((predicted == label, truth == label) for label in range(1, organs + 1))
    return pairs, image.GetSpacing()[::-1]


def scipy_whole(folder: Path, organs: int) -> list[float]:
    """HD of each organ."""
    from scipy.ndimage import binary_erosion, distance_transform_edt

    pairs, spacing_mm = whole_volumes(folder, organs)
    found = []
    for predicted, truth in pairs:
        predicted_edge = predicted & ~binary_erosion(predicted)
        truth_edge = truth & ~binary_erosion(truth)
        forth = distance_transform_edt(~truth_edge, sampling=spacing_mm)[predicted_edge]
        back = distance_transform_edt(~predicted_edge, sampling=spacing_mm)[truth_edge]
        # HD95 and ASD are part of what is timed
        np.percentile(forth, 95)
        np.percentile(back, 95)
        np.concatenate((forth, back)).mean()
        found.append(float(max(forth.max(), back.max())))
    return found


def monai_whole(folder: Path, organs: int) -> list[float]:
    """HD of each organ."""
    import torch
    from monai.metrics import (
        compute_average_surface_distance,
        compute_dice,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    torch.set_num_threads(1)
    pairs, spacing_mm = whole_volumes(folder, organs)
    found = []
    for predicted, truth in pairs:
        first = torch.from_numpy(predicted)[None, None]
        second = torch.from_numpy(truth)[None, None]
        options = {"include_background": True, "spacing": spacing_mm}
        compute_dice(first, second, include_background=True)
        compute_hausdorff_distance(first, second, percentile=95, **options)
        compute_average_surface_distance(first, second, symmetric=True, **options)
        compute_surface_dice(first, second, [2.0], use_subvoxels=True, **options)
        found.append(compute_hausdorff_distance(first, second, **options).item())
    return found


def ours(folder: Path, prediction: str) -> list[float]:
    """HD of each organ."""
    from soars_nnunet.evaluation.evaluate import evaluate_folders
    from soars_nnunet.profile import load_profile

    evaluation = evaluate_folders(folder / prediction, folder / "reference", load_profile("hn42"))
    return [float(score.hd_mm) for score in evaluation.scores]


def measure(options: argparse.Namespace) -> dict:
    """Seconds, peak memory and HDs of one variant in this process."""
    started = time.perf_counter()
    folder, organs = options.folder, options.naive_organs
    run = {
        "ours": lambda: ours(folder, "prediction"),
        "ours, strays": lambda: ours(folder, "strays"),
        "scipy, whole": lambda: scipy_whole(folder, organs),
        "monai, whole": lambda: monai_whole(folder, organs),
    }
    hd_mm = run[options.variant]()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = {"wall_s": time.perf_counter() - started, "cpu_s": usage.ru_utime + usage.ru_stime}
    return {**seconds, "mib": usage.ru_maxrss / 1024, "hd_mm": hd_mm}


def parse() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=[360, 512, 512], metavar=("Z", "Y", "X"), help="even")
    parser.add_argument("--naive-organs", type=int, default=3)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def compare(options: argparse.Namespace, folder: str) -> dict[str, list[float]]:
    """Measure each variant in a fresh process and print its row; returns the HDs by variant."""
    header = ["variant", "organs", "wall s", "CPU s", "CPU s an organ", "peak MiB"]
    print("\n".join(markdown.heading(header)), flush=True)
    hds = {}
    for variant in VARIANTS:
        arguments = ["--naive-organs", str(options.naive_organs), "--variant", variant, "--folder", folder]
        row = run_fresh(MODULE, arguments)
        hds[variant] = row["hd_mm"]
        organs = len(row["hd_mm"])
        cells = [variant, str(organs), f"{row['wall_s']:.1f}", f"{row['cpu_s']:.1f}"]
        cells += [f"{row['cpu_s'] / organs:.2f}", f"{row['mib']:.0f}"]
        print(markdown.row(cells), flush=True)
    return hds


def main() -> None:
    """Draw, then measure each variant in a fresh process; print a table."""
    options = parse()
    if options.variant:
        print(json.dumps(measure(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), tuple(options.shape))
        hds = compare(options, folder)
    for variant in VARIANTS[2:]:
        expected = hds["ours"][: len(hds[variant])]
        gap = np.abs(np.subtract(hds[variant], expected)).max()
        print(f"largest difference of HD, {variant} to ours: {gap:.2g} mm")


if __name__ == "__main__":
    main()
