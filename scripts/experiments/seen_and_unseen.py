#!/usr/bin/env python
"""Do networks contour the patients that trained them better than others?

    python -m scripts.experiments.seen_and_unseen CROSS_VALIDATION --model openkbp7 --splits splits_final.json

CROSS_VALIDATION is the folder that soars-cross-validate wrote. Of every so manieth patient of each fold, the table has
the mean DSC by the network that did not train on this patient (from the cross-validation), and by the network of the
next fold, which did. A large gap asks for more patients or augmentation; two low figures ask for a larger network,
longer training or better contours.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from scripts import markdown
from scripts.experiments.compare_inference import dice, renumbered
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.evaluation.evaluation_file import read_evaluation
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.prediction.tiling import Tiling

HEADER = ["organ", "cases", "unseen", "seen", "difference"]


def chosen(splits: Sequence[Mapping[str, Sequence[str]]], every: int) -> dict[int, list[str]]:
    """Of each fold, every so manieth of its validation cases, by name."""
    found = {}
    for fold, split in enumerate(splits):
        found[fold] = sorted(split["val"])[::every]
    return found


def table(unseen: Mapping[tuple[str, str], float], seen: Mapping[tuple[str, str], float]) -> list[str]:
    """Lines of the means over cases by organ, and of the mean over organs.

    Args:
        unseen: DSC by case and organ; pairs that ``seen`` lacks are left out.
        seen: The same by a network that trained on the case.
    """
    organs = list(dict.fromkeys(organ for _, organ in unseen))
    rows = []
    means = []
    for organ in organs:
        pairs = [(unseen[key], seen[key]) for key in unseen if key[1] == organ and key in seen]
        if pairs:
            means.append(np.mean(pairs, axis=0))
            rows.append([organ, str(len(pairs)), *_figures(means[-1])])
    rows.append(["mean", "", *_figures(np.mean(means, axis=0))])
    return markdown.table(HEADER, rows)


def _figures(pair: np.ndarray) -> list[str]:
    return [f"{pair[0]:.3f}", f"{pair[1]:.3f}", f"{pair[1] - pair[0]:+.3f}"]


def seen_scores(predictor: CascadePredictor, cases: Sequence[str], reference: Path) -> dict[tuple[str, str], float]:
    """DSC by case and organ.

    Args:
        predictor: Of networks that trained on the cases.
        cases: Names.
        reference: labelsTr of their raw dataset.
    """
    scores = {}
    for case in cases:
        labels_file = reference / f"{case}.nii.gz"
        drawn = renumbered(labels_file.parent, predictor)[sitk.GetArrayFromImage(read_label_map(labels_file))]
        labels, _ = predictor.predict(read_ct(reference.parent / "imagesTr" / f"{case}_0000.nii.gz"))
        found = sitk.GetArrayFromImage(labels)
        for organ, label in predictor.labels.items():
            if label:
                scores[case, organ] = dice(found, drawn, label)
        print(f"{case} done", flush=True)
    return scores


def main() -> None:
    """Parse, predict, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cross_validation", type=Path, metavar="CROSS_VALIDATION")
    parser.add_argument("--model", required=True, help="bundle of the networks: name or path")
    parser.add_argument("--splits", type=Path, required=True, help="splits_final.json of the networks")
    parser.add_argument("--every", type=int, default=4, help="every so manieth patient of a fold (default: 4)")
    options = parser.parse_args()
    evaluation = read_evaluation(options.cross_validation)
    folds = chosen(read_json(options.splits), options.every)
    cases = [case for fold in folds.values() for case in fold]
    unseen = {}
    for score in evaluation.scores:
        if score.dsc is not None and score.case in cases:
            unseen[score.case, score.organ] = score.dsc
    seen = {}
    for fold, names in folds.items():
        choice = PredictionOptions(folds=[(fold + 1) % len(folds)], tiling=Tiling(kind="large"), postprocess=False)
        predictor = CascadePredictor(open_bundle(options.model), choice)
        seen.update(seen_scores(predictor, names, Path(evaluation.reference)))
    print("\n".join(table(unseen, seen)))


if __name__ == "__main__":
    main()
