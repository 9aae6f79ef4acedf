#!/usr/bin/env python
"""Two observers of the DeepMind/TCIA set against each other: DSC, HD95 and surface DSC of its 21 organs.

    python -m scripts.experiments.interobserver PATH/TO/nrrds/validation [-o OUT] [--observers oncologist radiographer]

Reads OBSERVER/PATIENT/segmentations/ORGAN.nrrd as published (``-Lt`` and ``_Lt`` mean the same), organ by organ,
as the set's masks overlap. The first observer is the reference. Tolerances: deepmind_tolerances.json. Prints the
table and, with -o, writes interobserver.csv (a row per patient and organ) and interobserver.md. With
--reference-python, an interpreter that has google-deepmind/surface-distance, the same masks are also scored by
that package, with --monai also by MONAI; their scores go into the CSV too and the differences are printed.
"""

import argparse
import csv
import io
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.evaluation.mean_std import format_mean_std
from soars_nnunet.evaluation.scores import Summary
from soars_nnunet.evaluation.surface import compare_masks
from soars_nnunet.evaluation.text_files import write_texts
from soars_nnunet.images.label_map import check_same_grid, read_label_map

METRICS = ("dsc", "hd95_mm", "surface_dsc", "hd_mm", "asd_mm")


def organ_files(folder: Path) -> dict[str, Path]:
    """Mask files by organ, in the set's own spelling ``-Lt``."""
    files = {path.stem.replace("_", "-"): path for path in sorted(folder.glob("*.nrrd"))}
    if not files:
        sys.exit(f"error: {folder}: expected organ masks (*.nrrd), found none; check the path")
    return files


def masks(first: Path, second: Path) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
    """Masks (Z, Y, X) of both files, cropped to the box of their union, and the spacing (Z, Y, X) in mm."""
    images = [read_label_map(path) for path in (first, second)]
    check_same_grid(images[1], first, str(second))
    arrays = [sitk.GetArrayFromImage(image) > 0 for image in images]
    union = arrays[0] | arrays[1]
    extent = [np.flatnonzero(union.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    box = tuple(slice(n[0], n[-1] + 1) if n.size else slice(0, 0) for n in extent)
    return arrays[0][box], arrays[1][box], images[0].GetSpacing()[::-1]


def pairs(root: Path, observers: list[str]) -> Iterator[tuple[str, str, Path, Path]]:
    """Patient, organ and both observers' files; says what one of them lacks."""
    first, second = (root / name for name in observers)
    patients = sorted(path.name for path in first.glob("*") if (second / path.name).is_dir())
    if not patients:
        sys.exit(f"error: {root}: expected patients of both {' and '.join(observers)}, found none; check the path")
    for patient in patients:
        ours, theirs = (organ_files(folder / patient / "segmentations") for folder in (first, second))
        for organ in sorted(ours.keys() ^ theirs.keys()):
            print(f"warning: {patient}: only one observer has {organ}", file=sys.stderr)
        for organ in sorted(ours.keys() & theirs.keys()):
            yield patient, organ, ours[organ], theirs[organ]


REFERENCE = """
import json, sys
import numpy as np
import surface_distance as sd
for line in sys.stdin:
    path, spacing_mm, tolerance_mm = json.loads(line)
    with np.load(path) as data:
        first, second = data["first"], data["second"]
    found = sd.compute_surface_distances(first, second, spacing_mm)
    asd = np.mean([float(v) for v in sd.compute_average_surface_distance(found)])
    row = [sd.compute_dice_coefficient(first, second), sd.compute_robust_hausdorff(found, 95),
           sd.compute_surface_dice_at_tolerance(found, tolerance_mm), sd.compute_robust_hausdorff(found, 100), asd]
    print(json.dumps([float(v) for v in row]), flush=True)
"""
"""The other package's scores of the masks that are named on its standard input, in the order of ``METRICS``."""


class Reference:
    """The other implementation in its own interpreter."""

    def __init__(self, python: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([python, "-c", REFERENCE], **pipes)

    def scores(self, first: np.ndarray, second: np.ndarray, spacing_mm: tuple[float, ...], tolerance: float) -> list:
        """Scores of one pair."""
        path = Path(self.folder.name) / "masks.npz"
        np.savez(path, first=first, second=second)
        self.process.stdin.write(json.dumps([str(path), spacing_mm, tolerance]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("error: the reference interpreter ended; does it have google-deepmind/surface-distance and numpy?")
        return json.loads(line)


def monai_scores(first: np.ndarray, second: np.ndarray, spacing_mm: tuple[float, ...], tolerance: float) -> list[float]:
    """MONAI's scores of one pair, in the order of ``METRICS``."""
    import torch
    from monai.metrics import (
        compute_average_surface_distance,
        compute_dice,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    both = [torch.from_numpy(np.ascontiguousarray(mask))[None, None] for mask in (second, first)]
    options = {"include_background": True, "spacing": spacing_mm}
    found = (
        compute_dice(*both, include_background=True),
        compute_hausdorff_distance(*both, percentile=95, **options),
        compute_surface_dice(*both, [tolerance], use_subvoxels=True, **options),
        compute_hausdorff_distance(*both, **options),
        compute_average_surface_distance(*both, symmetric=True, **options),
    )
    return [value.item() for value in found]


def differences(name: str, rows: list[dict]) -> str:
    """Largest and mean difference of our scores from another implementation's."""
    parts = []
    for metric in METRICS:
        gaps = np.array([row[metric] - row[f"{metric}_{name}"] for row in rows])
        parts.append(f"{metric} {np.abs(gaps).max():.2g} (mean {gaps.mean():+.2g})")
    return f"\n\nours minus {name} over {len(rows)} pairs of masks, largest size (mean): {', '.join(parts)}"


def table(rows: list[dict], observers: list[str]) -> str:
    """Markdown: mean ± standard deviation over the patients, a row an organ, then the mean over organs."""
    organs = list(dict.fromkeys(row["organ"] for row in rows))
    forms = (("dsc", 3), ("hd95_mm", 2), ("surface_dsc", 3))
    lines = ["| organ | n | tolerance mm | DSC | HD95 mm | surface DSC |", "|---" * 6 + "|"]
    means: dict[str, list[float]] = {metric: [] for metric, _ in forms}
    for organ in organs:
        group = [row for row in rows if row["organ"] == organ]
        cells = []
        for metric, digits in forms:
            summary = Summary.of([row[metric] for row in group if np.isfinite(row[metric])])
            means[metric] += [summary.mean] if summary.mean is not None else []
            cells.append(format_mean_std(summary.mean, summary.std, digits))
        lines.append(f"| {organ} | {len(group)} | {group[0]['tolerance_mm']:.2f} | {' | '.join(cells)} |")
    cells = [f"{np.mean(means[metric]):.{digits}f}" for metric, digits in forms]
    lines.append(f"| mean over organs | {len(organs)} | | {' | '.join(cells)} |")
    title = f"{observers[1]} against {observers[0]}, mean ± standard deviation over patients"
    return "\n".join([title, "", *lines])


def main() -> None:
    """Score every patient and organ; print the table, write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds a folder for each observer")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--observers", nargs=2, default=["oncologist", "radiographer"])
    parser.add_argument("--reference-python", help="interpreter with google-deepmind/surface-distance")
    parser.add_argument("--monai", action="store_true", help="score by MONAI too")
    options = parser.parse_args()
    tolerances = read_json(Path(__file__).with_name("deepmind_tolerances.json"))["tolerance_mm"]
    reference = Reference(options.reference_python) if options.reference_python else None
    rows: list[dict] = []
    for patient, organ, first, second in pairs(options.folder, options.observers):
        if organ not in tolerances:
            print(f"warning: {patient}: {organ} is no organ of the set, left out", file=sys.stderr)
            continue
        truth, other, spacing_mm = masks(first, second)
        if not truth.size:
            print(f"warning: {patient}: {organ} is empty with both observers, left out", file=sys.stderr)
            continue
        scores = compare_masks(other, truth, spacing_mm, tolerances[organ])
        values = {metric: getattr(scores, metric) for metric in METRICS}
        rows.append({"patient": patient, "organ": organ, "tolerance_mm": tolerances[organ], **values})
        others = {"surface_distance": reference.scores} if reference else {}
        others |= {"monai": monai_scores} if options.monai else {}
        for name, score in others.items():
            found = score(truth, other, spacing_mm, tolerances[organ])
            rows[-1] |= {f"{metric}_{name}": value for metric, value in zip(METRICS, found, strict=True)}
        print(f"{patient} {organ}", file=sys.stderr, flush=True)
    text = table(rows, options.observers)
    for name in ("surface_distance", "monai"):
        text += differences(name, rows) if f"dsc_{name}" in rows[0] else ""
    print(text)
    if options.output:
        lines = io.StringIO()
        writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_texts(options.output, "interobserver", {"csv": lines.getvalue(), "md": text + "\n"})


if __name__ == "__main__":
    main()
