#!/usr/bin/env python
"""Where do the errors of a cross-validation lie: beyond an organ's ends, or at its sides?

    python -m scripts.experiments.error_parts CROSS_VALIDATION

CROSS_VALIDATION is the folder that soars-cross-validate wrote, with evaluation.json. For each organ, the mean over the
cases in which it is drawn: DSC, DSC in the slices between the reference's ends, and as shares of the reference's volume
what was predicted above it, below it and beside it, and what was missed.
"""

import argparse
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripts import markdown
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.evaluation.evaluation_file import read_evaluation
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.profile import load_profile

HEADER = ["organ", "cases", "DSC", "DSC between the ends", "above", "below", "beside", "missed"]


@dataclass(frozen=True)
class ErrorParts:
    """Of one organ in one case; shares are of the reference's volume.

    Attributes:
        dsc: Dice coefficient.
        dsc_between: The same in the slices between the reference's ends.
        above: Predicted above its upper end.
        below: Predicted below its lower end.
        beside: Predicted wrongly between the ends.
        missed: Of the reference, not predicted.
    """

    dsc: float
    dsc_between: float
    above: float
    below: float
    beside: float
    missed: float


def error_parts(reference: np.ndarray, predicted: np.ndarray) -> ErrorParts:
    """Parts of the error.

    Args:
        reference: (Z, Y, X) bool, feet to head; not empty.
        predicted: (Z, Y, X) bool.
    """
    slices = np.flatnonzero(reference.any((1, 2)))
    low, high = int(slices[0]), int(slices[-1]) + 1
    wrong = predicted & ~reference
    between = predicted[low:high]
    volume = float(reference.sum())
    found = float((predicted & reference).sum())
    return ErrorParts(
        dsc=2 * found / (volume + float(predicted.sum())),
        dsc_between=2 * found / (volume + float(between.sum())),
        above=float(predicted[high:].sum()) / volume,
        below=float(predicted[:low].sum()) / volume,
        beside=float(wrong[low:high].sum()) / volume,
        missed=1 - found / volume,
    )


def read_volume(path: Path) -> np.ndarray:
    """Labels (Z, Y, X), feet to head."""
    return sitk.GetArrayFromImage(sitk.DICOMOrient(read_label_map(path), "LPS"))


def parts_of(evaluation: Evaluation) -> dict[str, list[ErrorParts]]:
    """Parts of all errors by organ, in the profile's order."""
    profile = load_profile(evaluation.profile)
    raw = Path(evaluation.reference).parent
    labels = read_json(raw / "dataset.json")["labels"]
    source_labels = {}
    for name, label in labels.items():
        organ = profile.resolve(name)
        if organ is not None:
            source_labels[organ.name] = int(label)
    found: dict[str, list[ErrorParts]] = {organ.name: [] for organ in profile.organs}
    for case in sorted({score.case for score in evaluation.scores}):
        reference = read_volume(raw / "labelsTr" / f"{case}.nii.gz")
        predicted = read_volume(Path(evaluation.prediction) / f"{case}.nii.gz")
        for score in evaluation.scores:
            if score.case == case and score.dsc is not None:
                own = reference == source_labels[score.organ]
                parts = error_parts(own, predicted == profile.by_name[score.organ].label)
                found[score.organ].append(parts)
    return found


def main() -> None:
    """Parse, read, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cross_validation", type=Path, metavar="CROSS_VALIDATION")
    options = parser.parse_args()
    rows = []
    for organ, parts in parts_of(read_evaluation(options.cross_validation)).items():
        if parts:
            means = np.mean([astuple(part) for part in parts], axis=0)
            rows.append([organ, str(len(parts)), *[f"{value:.3f}" for value in means]])
    print("\n".join(markdown.table(HEADER, rows)))


if __name__ == "__main__":
    main()
