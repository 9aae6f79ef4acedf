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
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import SimpleITK as sitk

MODULE = "scripts.benchmarks.evaluation"
VARIANTS = ("ours", "ours, strays", "scipy, whole", "monai, whole")


def draw(folder: Path, shape: tuple[int, int, int]) -> None:
    """Write reference, prediction and prediction with strays as NIfTI."""
    from soars_nnunet.phantom.phantom import make_phantom

    spacing_mm = (360.0 / shape[0], 500.0 / shape[1], 500.0 / shape[2])
    small = make_phantom(0, tuple(size // 2 for size in shape), tuple(2 * mm for mm in spacing_mm)).labels
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


def whole_volumes(folder: Path, organs: int) -> tuple[list[tuple[np.ndarray, np.ndarray]], tuple[float, ...]]:
    """Masks of the first organs over the whole volume, made as they are asked for, and the spacing (Z, Y, X)."""
    images = [sitk.ReadImage(str(folder / name / "phantom.nii.gz")) for name in ("prediction", "reference")]
    arrays = [sitk.GetArrayFromImage(image) for image in images]
    pairs = ((arrays[0] == label, arrays[1] == label) for label in range(1, organs + 1))
    return pairs, images[0].GetSpacing()[::-1]


def scipy_whole(folder: Path, organs: int) -> list[float]:
    """HD of each organ."""
    from scipy.ndimage import binary_erosion, distance_transform_edt

    pairs, spacing_mm = whole_volumes(folder, organs)
    found = []
    for masks in pairs:
        edges = [mask & ~binary_erosion(mask) for mask in masks]
        forth = distance_transform_edt(~edges[1], sampling=spacing_mm)[edges[0]]
        back = distance_transform_edt(~edges[0], sampling=spacing_mm)[edges[1]]
        np.percentile(forth, 95), np.percentile(back, 95), np.concatenate((forth, back)).mean()
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
    for masks in pairs:
        both = [torch.from_numpy(mask)[None, None] for mask in masks]
        options = {"include_background": True, "spacing": spacing_mm}
        compute_dice(*both, include_background=True)
        compute_hausdorff_distance(*both, percentile=95, **options)
        compute_average_surface_distance(*both, symmetric=True, **options)
        compute_surface_dice(*both, [2.0], use_subvoxels=True, **options)
        found.append(compute_hausdorff_distance(*both, **options).item())
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


def main() -> None:
    """Draw, then measure each variant in a fresh process; print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", type=int, nargs=3, default=[360, 512, 512], metavar=("Z", "Y", "X"), help="even")
    parser.add_argument("--naive-organs", type=int, default=3)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant:
        print(json.dumps(measure(options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        draw(Path(folder), tuple(options.shape))
        print(
            "| variant | organs | wall s | CPU s | CPU s an organ | peak MiB |", "|---" * 6 + "|", sep="\n", flush=True
        )
        hds: dict[str, list[float]] = {}
        for variant in VARIANTS:
            command = [sys.executable, "-m", MODULE, *sys.argv[1:], "--variant", variant, "--folder", folder]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            row = json.loads(done.stdout.splitlines()[-1])
            hds[variant] = row["hd_mm"]
            cells = [f"{row['wall_s']:.1f}", f"{row['cpu_s']:.1f}", f"{row['cpu_s'] / len(row['hd_mm']):.2f}"]
            print(f"| {variant} | {len(row['hd_mm'])} | {' | '.join(cells)} | {row['mib']:.0f} |", flush=True)
    for variant in VARIANTS[2:]:
        gap = np.abs(np.subtract(hds[variant], hds["ours"][: len(hds[variant])])).max()
        print(f"largest difference of HD, {variant} to ours: {gap:.2g} mm")


if __name__ == "__main__":
    main()
