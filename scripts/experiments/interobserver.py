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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripts import markdown
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.evaluation.mean_std import format_mean_std
from soars_nnunet.evaluation.scores import Summary
from soars_nnunet.evaluation.surface import compare_masks
from soars_nnunet.evaluation.text_files import write_texts
from soars_nnunet.images.label_map import check_same_grid, read_label_map

METRICS = ("dsc", "hd95_mm", "surface_dsc", "hd_mm", "asd_mm")
SHOWN = {"dsc": 3, "hd95_mm": 2, "surface_dsc": 3}
"""Decimals of the metrics in the table."""
TOLERANCES = Path(__file__).with_name("deepmind_tolerances.json")


@dataclass(frozen=True)
class Pair:
    """One organ of one patient, drawn by both observers.

    Attributes:
        patient: Name of the patient's folder.
        organ: In the set's own spelling ``-Lt``.
        first: Mask file of the first observer, who is the reference.
        second: Mask file of the second observer.
    """

    patient: str
    organ: str
    first: Path
    second: Path


@dataclass(frozen=True)
class Masks:
    """Both masks of a pair, cropped to the box of their union.

    Attributes:
        truth: First observer's, bool (Z, Y, X).
        other: Second observer's, bool (Z, Y, X).
        spacing_mm: Voxel size (Z, Y, X), mm.
    """

    truth: np.ndarray
    other: np.ndarray
    spacing_mm: tuple[float, ...]


Scorer = Callable[[Masks, float], list[float]]
"""Another implementation's scores of a pair at a tolerance in mm, in the order of ``METRICS``."""


def organ_files(folder: Path) -> dict[str, Path]:
    """Mask files by organ, in the set's own spelling ``-Lt``."""
    files = {path.stem.replace("_", "-"): path for path in sorted(folder.glob("*.nrrd"))}
    if not files:
        sys.exit(f"error: {folder}: expected organ masks (*.nrrd), found none; check the path")
    return files


def read_masks(first: Path, second: Path) -> Masks:
    """Masks of both files; both empty where no observer has a voxel."""
    truth_image, other_image = read_label_map(first), read_label_map(second)
    check_same_grid(other_image, first, str(second))
    truth = sitk.GetArrayFromImage(truth_image) > 0
    other = sitk.GetArrayFromImage(other_image) > 0
    box = box_of(truth | other)
    return Masks(truth[box], other[box], truth_image.GetSpacing()[::-1])


def box_of(mask: np.ndarray) -> tuple[slice, slice, slice]:
    """Bounding box of a mask (Z, Y, X); without extent where it is empty."""
    sides = []
    for others in ((1, 2), (0, 2), (0, 1)):
        occupied = np.flatnonzero(mask.any(axis=others))
        sides.append(slice(occupied[0], occupied[-1] + 1) if occupied.size else slice(0, 0))
    return sides[0], sides[1], sides[2]


def pairs(root: Path, observers: Sequence[str]) -> Iterator[Pair]:
    """Every organ that both observers drew; says what one of them lacks."""
    first, second = root / observers[0], root / observers[1]
    patients = sorted(path.name for path in first.glob("*") if (second / path.name).is_dir())
    if not patients:
        sys.exit(f"error: {root}: expected patients of both {' and '.join(observers)}, found none; check the path")
    for patient in patients:
        ours = organ_files(first / patient / "segmentations")
        theirs = organ_files(second / patient / "segmentations")
        for organ in sorted(ours.keys() ^ theirs.keys()):
            print(f"warning: {patient}: only one observer has {organ}", file=sys.stderr)
        for organ in sorted(ours.keys() & theirs.keys()):
            yield Pair(patient, organ, ours[organ], theirs[organ])


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
        self.process = subprocess.Popen(
            [python, "-c", REFERENCE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def scores(self, masks: Masks, tolerance_mm: float) -> list[float]:
        """Scores of one pair, in the order of ``METRICS``."""
        if self.process.stdin is None or self.process.stdout is None:
            raise ValueError("expected pipes to the reference interpreter, got none")
        path = Path(self.folder.name) / "masks.npz"
        np.savez(path, first=masks.truth, second=masks.other)
        self.process.stdin.write(json.dumps([str(path), masks.spacing_mm, tolerance_mm]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("error: the reference interpreter ended; does it have google-deepmind/surface-distance and numpy?")
        return json.loads(line)


def monai_scores(masks: Masks, tolerance_mm: float) -> list[float]:
    """MONAI's scores of one pair, in the order of ``METRICS``."""
    import torch
    from monai.metrics import (
        compute_average_surface_distance,
        compute_dice,
        compute_hausdorff_distance,
        compute_surface_dice,
    )

    truth = torch.from_numpy(np.ascontiguousarray(masks.truth))[None, None]
    other = torch.from_numpy(np.ascontiguousarray(masks.other))[None, None]
    options = {"include_background": True, "spacing": masks.spacing_mm}
    found = (
        compute_dice(other, truth, include_background=True),
        compute_hausdorff_distance(other, truth, percentile=95, **options),
        compute_surface_dice(other, truth, [tolerance_mm], use_subvoxels=True, **options),
        compute_hausdorff_distance(other, truth, **options),
        compute_average_surface_distance(other, truth, symmetric=True, **options),
    )
    return [value.item() for value in found]


def score_all(found: Iterator[Pair], others: Mapping[str, Scorer]) -> list[dict]:
    """A row a pair: patient, organ, tolerance, our scores and those of other implementations; says what is left out."""
    tolerances = read_json(TOLERANCES)["tolerance_mm"]
    rows = []
    for pair in found:
        if pair.organ not in tolerances:
            print(f"warning: {pair.patient}: {pair.organ} is no organ of the set, left out", file=sys.stderr)
            continue
        masks = read_masks(pair.first, pair.second)
        if not masks.truth.size:
            print(f"warning: {pair.patient}: {pair.organ} is empty with both observers, left out", file=sys.stderr)
            continue
        tolerance_mm = tolerances[pair.organ]
        scores = compare_masks(masks.other, masks.truth, masks.spacing_mm, tolerance_mm)
        row = {"patient": pair.patient, "organ": pair.organ, "tolerance_mm": tolerance_mm}
        for metric in METRICS:
            row[metric] = getattr(scores, metric)
        for name, scorer in others.items():
            for metric, value in zip(METRICS, scorer(masks, tolerance_mm), strict=True):
                row[f"{metric}_{name}"] = value
        rows.append(row)
        print(f"{pair.patient} {pair.organ}", file=sys.stderr, flush=True)
    return rows


def differences(name: str, rows: Sequence[dict]) -> str:
    """Largest and mean difference of our scores from another implementation's."""
    parts = []
    for metric in METRICS:
        gaps = np.array([row[metric] - row[f"{metric}_{name}"] for row in rows])
        parts.append(f"{metric} {np.abs(gaps).max():.2g} (mean {gaps.mean():+.2g})")
    return f"\n\nours minus {name} over {len(rows)} pairs of masks, largest size (mean): {', '.join(parts)}"


def table(rows: Sequence[dict], observers: Sequence[str]) -> str:
    """Markdown: mean ± standard deviation over the patients, a row an organ, then the mean over organs."""
    groups: dict[str, list[dict]] = {}
    for row in rows:
        groups.setdefault(row["organ"], []).append(row)
    lines = [f"{observers[1]} against {observers[0]}, mean ± standard deviation over patients", ""]
    lines += markdown.heading(["organ", "n", "tolerance mm", "DSC", "HD95 mm", "surface DSC"])
    means: dict[str, list[float]] = {metric: [] for metric in SHOWN}
    for organ, group in groups.items():
        cells = [organ, str(len(group)), f"{group[0]['tolerance_mm']:.2f}"]
        for metric, digits in SHOWN.items():
            summary = Summary.of([row[metric] for row in group if np.isfinite(row[metric])])
            if summary.mean is not None:
                means[metric].append(summary.mean)
            cells.append(format_mean_std(summary.mean, summary.std, digits))
        lines.append(markdown.row(cells))
    cells = ["mean over organs", str(len(groups)), ""]
    for metric, digits in SHOWN.items():
        cells.append(f"{np.mean(means[metric]):.{digits}f}")
    lines.append(markdown.row(cells))
    return "\n".join(lines)


def csv_text(rows: Sequence[dict]) -> str:
    """All rows as CSV."""
    lines = io.StringIO()
    writer = csv.DictWriter(lines, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return lines.getvalue()


def main() -> None:
    """Score every patient and organ; print the table, write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="holds a folder for each observer")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--observers", nargs=2, default=["oncologist", "radiographer"])
    parser.add_argument("--reference-python", help="interpreter with google-deepmind/surface-distance")
    parser.add_argument("--monai", action="store_true", help="score by MONAI too")
    options = parser.parse_args()
    others: dict[str, Scorer] = {}
    if options.reference_python:
        others["surface_distance"] = Reference(options.reference_python).scores
    if options.monai:
        others["monai"] = monai_scores
    rows = score_all(pairs(options.folder, options.observers), others)
    text = table(rows, options.observers)
    for name in others:
        text += differences(name, rows)
    print(text)
    if options.output:
        write_texts(options.output, "interobserver", {"csv": csv_text(rows), "md": text + "\n"})


if __name__ == "__main__":
    main()
