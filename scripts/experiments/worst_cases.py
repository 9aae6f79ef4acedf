#!/usr/bin/env python
"""Draw the cases in which an organ was contoured worst, with both contours.

    python -m scripts.experiments.worst_cases CROSS_VALIDATION --organs Bone_Mandible Esophagus -o FOLDER

CROSS_VALIDATION is the folder that soars-cross-validate wrote, with evaluation.json. Draws a PNG an organ: the slice of
each case in which the two contours differ most, the reference green, the prediction red, DSC in the title.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from scripts import overlay
from soars_nnunet.evaluation.evaluation_file import read_evaluation
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.html_report.contours import PLANES, Slice, draw_slice
from soars_nnunet.html_report.page import settings
from soars_nnunet.profile import load_profile

REFERENCE, PREDICTION = "reference", "prediction"
COLORS = {REFERENCE: (0.1, 0.9, 0.1), PREDICTION: (1.0, 0.15, 0.15)}
WINDOWS = {"Bone_Mandible": "bone"}
"""Name of the HU window of organs that the soft-tissue one does not show."""
SOFT_TISSUE = "soft tissue"
COLUMNS = 5
PANEL_INCH = 3.2
MARGIN_MM = 40.0
"""Shown around the organ."""


def worst_scores(evaluation: Evaluation, organ: str, number: int) -> list[OrganScore]:
    """Scores of the cases with the lowest DSC of an organ, the lowest first; cases without a reference are left out."""
    scored = [score for score in evaluation.scores if score.organ == organ and score.dsc is not None]
    return sorted(scored, key=lambda score: (score.dsc or 0.0, score.case))[:number]


def most_different(reference: np.ndarray, predicted: np.ndarray, axis: int) -> int:
    """Index along an axis of the slice in which two masks differ in most voxels; the middle where they are equal."""
    others = tuple(other for other in range(reference.ndim) if other != axis)
    differing = (reference != predicted).sum(axis=others)
    return int(differing.argmax()) if differing.any() else reference.shape[axis] // 2


def read_case(evaluation: Evaluation, case: str, raw: Path | None) -> overlay.Volumes:
    """CT, reference and prediction of a case.

    Args:
        evaluation: That says where labels are.
        case: Its name.
        raw: Raw dataset of the references; None for the one that the evaluation names.
    """
    dataset = raw or Path(evaluation.reference).parent
    labels: dict[str, tuple[Path, Path | None]] = {
        REFERENCE: (dataset / "labelsTr" / f"{case}.nii.gz", dataset / "dataset.json"),
        PREDICTION: (Path(evaluation.prediction) / f"{case}.nii.gz", None),
    }
    return overlay.read_volumes(dataset / "imagesTr" / f"{case}_0000.nii.gz", labels, load_profile(evaluation.profile))


def draw_case(axes: Axes, volumes: overlay.Volumes, label: int, axis: int, window_hu: Sequence[float]) -> None:
    """Draw both contours of an organ in the slice in which they differ most."""
    masks = {name: (volume == label).astype(np.uint8) for name, volume in volumes.labels.items()}
    shown = overlay.Volumes(volumes.ct_hu, masks, volumes.spacing_mm).cropped(REFERENCE, MARGIN_MM)
    place = Slice(axis, most_different(shown.labels[REFERENCE], shown.labels[PREDICTION], axis))
    for name, mask in shown.labels.items():
        draw_slice(
            axes,
            shown.ct_hu,
            mask,
            place,
            colors={1: COLORS[name]},
            window_hu=window_hu,
            spacing_mm=shown.spacing_mm,
        )


def draw_worst(evaluation: Evaluation, organ: str, options: argparse.Namespace) -> Figure:
    """Figure of an organ's worst cases.

    Args:
        evaluation: What was scored.
        organ: Its name in the profile.
        options: ``number`` of cases, ``plane`` of the slices, ``raw`` dataset.
    """
    scores = worst_scores(evaluation, organ, options.number)
    if not scores:
        raise SystemExit(f"error: expected scores of {organ}, found none in {evaluation.prediction}")
    label = load_profile(evaluation.profile).by_name[organ].label
    window_hu = settings()["windows_hu"][WINDOWS.get(organ, SOFT_TISSUE)]
    columns = min(COLUMNS, len(scores))
    rows = -(-len(scores) // columns)
    figure = Figure(figsize=(PANEL_INCH * columns, PANEL_INCH * rows + 0.4), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel in axes:
        panel.axis("off")
    for panel, score in zip(axes, scores, strict=False):
        draw_case(panel, read_case(evaluation, score.case, options.raw), label, PLANES.index(options.plane), window_hu)
        panel.set_title(f"{score.case}: DSC {score.dsc:.2f}, {score.predicted_ml:.0f} of {score.reference_ml:.0f} ml")
    figure.suptitle(f"{organ}: {len(scores)} worst cases, {options.plane}; reference green, prediction red")
    return figure


def main() -> None:
    """Parse, draw, say where."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cross_validation", type=Path, metavar="CROSS_VALIDATION")
    parser.add_argument("--organs", nargs="+", required=True, metavar="ORGAN")
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder of the pictures")
    parser.add_argument("-n", "--number", type=int, default=10, help="of cases (default: %(default)s)")
    parser.add_argument("--plane", choices=PLANES, default=PLANES[0], help="of the slices (default: %(default)s)")
    parser.add_argument("--raw", type=Path, help="raw dataset of the references (default: as evaluation.json says)")
    options = parser.parse_args()
    evaluation = read_evaluation(options.cross_validation)
    for organ in options.organs:
        path = options.output / f"worst_{organ}.png"
        overlay.save(draw_worst(evaluation, organ, options), path)
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
