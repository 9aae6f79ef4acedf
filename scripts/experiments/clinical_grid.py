#!/usr/bin/env python
"""Does a network trained on coarse CTs find the same organs on a clinical grid, and what does a low pass do for it?

    python -m scripts.experiments.clinical_grid --model openkbp7 -i Dataset009 --cases openkbp_012 openkbp_031

Each CT is interpolated to a finer grid and gets noise of a scan with thin slices. The cascade segments the CT as it is,
and the fine one with each low pass that is asked for. Labels of the fine CT are read at the middles of the CT's own
voxels and compared with the labels of the CT as it is (agreement), and both with the contours.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import SimpleITK as sitk
from scipy.ndimage import gaussian_filter

from scripts import markdown
from scripts.experiments.compare_inference import dice, renumbered
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.geometry import low_pass
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor

AIR_HU = -1000.0
KERNEL_PIXELS = 0.7
"""Sigma of the noise's correlation within slices: a soft-tissue kernel's, about; ours."""
RATIO = 1.5
SIGMAS = {"skimage": low_pass.sigma_voxels, "half ratio": lambda step: step / 2}
"""Sigma of a low pass, in voxels of the fine CT, by the step."""
LOW_PASSES = ("as trained", "none", *SIGMAS)


def fine_ct(ct: sitk.Image, spacing_mm: Sequence[float], noise_hu: float, seed: int) -> sitk.Image:
    """The CT on a finer grid of the same extent, with noise that is correlated within slices.

    Args:
        ct: In HU.
        spacing_mm: Of the fine grid (x, y, z).
        noise_hu: Standard deviation.
        seed: Of the noise.

    Returns:
        Cubic B-splines within the CT's range, float32.
    """
    size, origin = [], []
    for voxels, old, new in zip(ct.GetSize(), ct.GetSpacing(), spacing_mm, strict=True):
        size.append(round(voxels * old / new))
        origin.append((new - old) / 2)
    corner = np.array(ct.GetDirection()).reshape(3, 3) @ np.array(origin) + np.array(ct.GetOrigin())
    fine = sitk.Resample(
        sitk.Cast(ct, sitk.sitkFloat32),
        size,
        sitk.Transform(),
        sitk.sitkBSpline,
        corner.tolist(),
        list(spacing_mm),
        ct.GetDirection(),
        AIR_HU,
    )
    hu = sitk.GetArrayFromImage(ct)
    values = np.clip(sitk.GetArrayFromImage(fine), hu.min(), hu.max())
    noise = np.random.default_rng(seed).normal(size=values.shape).astype(np.float32)
    noise = gaussian_filter(noise, (0, KERNEL_PIXELS, KERNEL_PIXELS))
    noisy = sitk.GetImageFromArray((values + noise_hu * noise / noise.std()).astype(np.float32))
    noisy.CopyInformation(fine)
    return noisy


@contextmanager
def low_passed(predictor: CascadePredictor, kind: str) -> Iterator[None]:
    """Let a predictor's networks see fine CTs after a low pass of ``LOW_PASSES``."""
    before = {key: model.preprocessing for key, model in predictor.models.items()}
    sigma = SIGMAS.get(kind, low_pass.sigma_voxels)
    try:
        for key, model in predictor.models.items():
            if kind != "as trained":
                model.preprocessing = replace(before[key], low_pass_ratio=None if kind == "none" else RATIO)
        with patch.object(low_pass, "sigma_voxels", sigma):
            yield
    finally:
        for key, model in predictor.models.items():
            model.preprocessing = before[key]


@dataclass(frozen=True)
class Contours:
    """What is known of a case's organs.

    Attributes:
        labels: (Z, Y, X) of the reference, in the cascade's labels.
        not_annotated: Organs that nobody drew in it.
    """

    labels: np.ndarray
    not_annotated: Sequence[str]


def segment(predictor: CascadePredictor, image: sitk.Image, like: sitk.Image) -> np.ndarray:
    """Labels (Z, Y, X) at the middles of the voxels of another image."""
    labels, _ = predictor.predict(image)
    return sitk.GetArrayFromImage(sitk.Resample(labels, like, sitk.Transform(), sitk.sitkNearestNeighbor, 0))


def case_scores(
    predictor: CascadePredictor, ct: sitk.Image, fine: sitk.Image, contours: Contours, kinds: Sequence[str]
) -> dict[tuple[str, str], float]:
    """DSC by column of the table and organ: NaN where neither volume has the organ, or nobody drew it."""
    organs = {name: label for name, label in predictor.labels.items() if label}
    own = segment(predictor, ct, ct)
    scores = {}
    found = {}
    for kind in kinds:
        with low_passed(predictor, kind):
            found[kind] = segment(predictor, fine, ct)
    for organ, label in organs.items():
        drawn = organ not in contours.not_annotated
        scores["contours: CT as it is", organ] = dice(own, contours.labels, label) if drawn else np.nan
        for kind, labels in found.items():
            scores[f"agreement: {kind}", organ] = dice(labels, own, label)
            scores[f"contours: {kind}", organ] = dice(labels, contours.labels, label) if drawn else np.nan
    return scores


def table(cases: Sequence[Mapping[tuple[str, str], float]]) -> list[str]:
    """Lines of the mean over cases, by organ, and the mean over organs."""
    columns = sorted(dict.fromkeys(column for column, _ in cases[0]))
    organs = list(dict.fromkeys(organ for _, organ in cases[0]))
    rows = []
    sums = []
    for organ in organs:
        means = [float(np.nanmean([case[column, organ] for case in cases])) for column in columns]
        sums.append(means)
        rows.append([organ] + [f"{mean:.3f}" for mean in means])
    rows.append(["mean"] + [f"{mean:.3f}" for mean in np.nanmean(sums, axis=0)])
    return markdown.table(["organ", *columns], rows)


def parse() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    trained = parser.add_mutually_exclusive_group(required=True)
    trained.add_argument("-m", "--manifest", type=Path, help="manifest of a trained cascade, or its folder")
    trained.add_argument("--model", help="bundle, by name or path")
    parser.add_argument("-i", "--input", required=True, type=Path, help="raw dataset with cases.json")
    parser.add_argument("--cases", nargs="+", required=True, help="best those that the folds have not trained on")
    parser.add_argument("--folds", nargs="+", type=int)
    parser.add_argument("--spacing", nargs=3, type=float, default=(1.0, 1.0, 2.5), help="of the fine CT (x y z), mm")
    parser.add_argument("--noise", nargs=2, type=float, default=(10.0, 40.0), help="range of its deviation, HU")
    parser.add_argument("--low-pass", nargs="+", choices=LOW_PASSES, default=["as trained", "none"])
    parser.add_argument("--fast", action="store_true", help="large tiles")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def main() -> None:
    """Parse, predict each case on both grids, print the table."""
    options = parse()
    trained = options.manifest if options.manifest else open_bundle(options.model)
    predictor = CascadePredictor(
        trained, PredictionOptions(folds=options.folds, device=options.device, fast=options.fast)
    )
    label_of = renumbered(options.input / "labelsTr", predictor)
    facts = read_json(options.input / "cases.json")
    generator = np.random.default_rng(0)
    cases = []
    for number, case in enumerate(options.cases):
        ct = read_ct(options.input / "imagesTr" / f"{case}_0000.nii.gz")
        labels = label_of[sitk.GetArrayFromImage(read_label_map(options.input / "labelsTr" / f"{case}.nii.gz"))]
        noise_hu = generator.uniform(*options.noise)
        fine = fine_ct(ct, options.spacing, noise_hu, number)
        contours = Contours(labels, facts[case]["unannotated"])
        cases.append(case_scores(predictor, ct, fine, contours, options.low_pass))
        print("\n".join([f"{case}, {noise_hu:.0f} HU of noise; mean of {number + 1}:", *table(cases)]), flush=True)


if __name__ == "__main__":
    main()
