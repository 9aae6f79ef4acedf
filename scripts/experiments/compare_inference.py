#!/usr/bin/env python
"""Whether what prediction leaves out changes labels: the cascade against the straightforward path, weights the same.

    python -m scripts.experiments.compare_inference -d 42 -i CTS -r LABELS

The straightforward path preprocesses by nnU-Net, runs every network on all tiles, interpolates every channel of every
softmax to the whole image (of a VOI, to the whole VOI), takes the argmax and lets the organ of higher precedence, then
of higher probability, win. Neither path keeps largest parts. Both lay their tiles over the patient's box; with
--whole-scan the straightforward path lays them over the whole scan: it cuts the patient into other tiles, and what it
finds around the patient differs, too.
"""

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import SimpleITK as sitk
import torch
from torch.nn import functional

from scripts import markdown
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.evaluation import surface
from soars_nnunet.geometry.grid import Grid, box_overlap
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.images.listing import list_images
from soars_nnunet.images.network_frame import Scan, from_network_frame
from soars_nnunet.planning.low_pass import LowPassPreprocessor
from soars_nnunet.prediction.branch_model import BranchModel
from soars_nnunet.prediction.inferred import Inference
from soars_nnunet.prediction.options import PredictionOptions
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.prediction.stitching import precedence_by_label
from soars_nnunet.prediction.tiling import TILING_KINDS, Tiling


def nnunets_input(
    model: BranchModel, channels: np.ndarray | torch.Tensor, properties: dict[str, Any]
) -> tuple[torch.Tensor, Grid]:
    """Instead of ``BranchModel.preprocess``: nnU-Net's own, with the low pass that the training had."""
    data, _, properties = LowPassPreprocessor(verbose=False).run_case_npy(
        torch.as_tensor(channels).cpu().numpy(),
        None,
        dict(properties),
        model.plans_manager,
        model.configuration,
        model.dataset_json,
    )
    return torch.from_numpy(data).to(model.device), Grid.from_properties(properties, data.shape[1:])


def whole_scan_box(model: BranchModel, shape: Sequence[int], *masks: torch.Tensor | None) -> tuple[slice, ...]:
    """Instead of ``BranchModel.tiled_box``: all of it."""
    return tuple(slice(0, width) for width in shape)


def full_argmax(probabilities: torch.Tensor, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
    """Channel (Z, Y, X) and its probability, over all channels interpolated to the whole image at once."""
    channels, best = np.zeros(grid.image_shape, np.uint8), np.ones(grid.image_shape, np.float32)
    inside = tuple(slice(lo, hi) for lo, hi in grid.crop)
    full = functional.interpolate(probabilities[None], grid.crop_shape, mode="trilinear", align_corners=False)[0]
    highest, winner = full.max(0)
    best[inside] = highest.cpu().numpy()
    channels[inside] = winner.cpu().numpy()
    return channels, best


def proposals(
    predictor: CascadePredictor, found: Inference
) -> Iterator[tuple[tuple[int, ...], np.ndarray, np.ndarray]]:
    """Of every tier and VOI: first voxel, final labels (Z, Y, X) and their probability."""
    by_name = predictor.profile.by_name
    branches = predictor.manifest.branches
    for tier, softmax in found.tiers.items():
        final = [0]
        for name in branches[tier].classes:
            final.append(by_name[name].label)
        channels, best = full_argmax(softmax.values, softmax.grid)
        yield (0, 0, 0), np.array(final)[channels], best
    for voi in found.vois:
        final = [0]
        for name in branches["small_hard"].classes:
            organ = by_name[name]
            final.append(organ.label if organ.target == voi.target else 0)
        channels, best = full_argmax(voi.softmax.values, voi.softmax.grid)
        yield tuple(first for first, _ in voi.box), np.array(final)[channels], best


def straightforward(predictor: CascadePredictor, image: sitk.Image, whole_scan: bool = False) -> np.ndarray:
    """Labels (Z, Y, X) on the image's own grid."""
    scan = Scan.of(image, "image")
    merged = np.zeros(scan.ct_hu.shape[1:], np.uint8)
    # precedence is a whole number and a probability at most 1: their sum orders by the one, then by the other
    score = np.zeros(merged.shape)
    precedence = precedence_by_label(predictor.profile).astype(float)
    with ExitStack() as instead:
        instead.enter_context(patch.object(BranchModel, "preprocess", nnunets_input))
        if whole_scan:
            instead.enter_context(patch.object(BranchModel, "tiled_box", whole_scan_box))
        found = predictor.infer(scan)
    for offset, labels, probability in proposals(predictor, found):
        box = tuple((first, first + size) for first, size in zip(offset, labels.shape, strict=True))
        on_image, on_box = box_overlap(box, merged.shape)
        labels, probability = labels[on_box], probability[on_box]
        ours = np.where(labels > 0, 2 * (precedence[labels] - precedence.min() + 1) + probability, 0)
        wins = ours > score[on_image]
        score[on_image][wins] = ours[wins]
        merged[on_image][wins] = labels[wins]
    return sitk.GetArrayFromImage(from_network_frame(merged, image))


def dice(first: np.ndarray, second: np.ndarray, label: int) -> float:
    """DSC of a label; NaN where neither has it."""
    return surface.dice(first == label, second == label)


def renumbered(reference: Path, predictor: CascadePredictor) -> np.ndarray:
    """By label of a reference's dataset.json, which lies beside its folder: the cascade's label of that organ, or 0."""
    names = read_json(reference.parent / "dataset.json")["labels"]
    organs = {label: predictor.profile.resolve(name) for name, label in names.items()}
    table = np.zeros(max(organs) + 1, np.uint8)
    for label, organ in organs.items():
        table[label] = predictor.labels.get(organ.name, 0) if organ else 0
    return table


@dataclass(frozen=True)
class Agreement:
    """How the two paths agree in one case.

    Attributes:
        foreground: Voxels that either path calls an organ.
        share: Of these, those with the same label; 0 to 1.
        organ: Whose DSC differs most.
        largest: Difference of that organ's DSC.
        mean_dice: Mean DSC of the annotated organs, by the cascade and by the straightforward path.
    """

    foreground: int
    share: float
    organ: str
    largest: float
    mean_dice: tuple[float, float]

    @classmethod
    def of(cls, ours: np.ndarray, plain: np.ndarray, truth: np.ndarray, labels: Mapping[str, int]) -> "Agreement":
        """Compare two label volumes with each other and with a reference of the same labels.

        Args:
            ours: Labels (Z, Y, X) of the cascade.
            plain: Labels (Z, Y, X) of the straightforward path.
            truth: Labels (Z, Y, X) of the reference.
            labels: Label by organ.
        """
        first, second, gaps = [], [], {}
        for organ, label in labels.items():
            if not label or not (truth == label).any():
                continue
            first.append(dice(ours, truth, label))
            second.append(dice(plain, truth, label))
            gaps[organ] = abs(first[-1] - second[-1])
        worst = max(gaps, key=gaps.__getitem__)
        foreground = (ours > 0) | (plain > 0)
        share = float((ours == plain)[foreground].mean())
        means = float(np.mean(first)), float(np.mean(second))
        return cls(int(foreground.sum()), share, worst, gaps[worst], means)

    def cells(self) -> list[str]:
        """Of the printed table."""
        return [str(self.foreground), f"{100 * self.share:.4f}", f"{self.largest:.5f}", self.organ]


def parse() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-d", "--dataset", required=True, type=int)
    parser.add_argument("-i", "--input", required=True, type=Path, help="folder of CTs")
    parser.add_argument(
        "-r", "--reference", required=True, type=Path, help="folder of label maps, beside their dataset.json"
    )
    parser.add_argument("--plans-name", default=DEFAULT_PLANS)
    parser.add_argument("--tiling", choices=TILING_KINDS, default="default", help="of the cascade")
    parser.add_argument("--whole-scan", action="store_true")
    parser.add_argument("--device", default="cpu")
    return parser.parse_args()


def main() -> None:
    """Parse, predict both ways, print what differs."""
    options = parse()
    manifest = Cascade.load(options.dataset).manifest(options.plans_name)
    everywhere = PredictionOptions(device=options.device, tiling=Tiling("everywhere"), postprocess=False)
    ours = CascadePredictor(manifest, replace(everywhere, tiling=Tiling(options.tiling)))
    plain = CascadePredictor(manifest, everywhere)
    header = ["case", "foreground voxels", "agree %", "largest DSC difference", "organ"]
    print("\n".join(markdown.heading(header)), flush=True)
    label_of = renumbered(options.reference, ours)
    done = []
    for case, path in [(listed.case, listed.path) for listed in list_images(options.input)]:
        image = read_ct(path)
        first = sitk.GetArrayFromImage(ours.predict(image, case)[0])
        second = straightforward(plain, image, options.whole_scan)
        reference = read_label_map(next(options.reference.glob(f"{case}.*")))
        truth = label_of[sitk.GetArrayFromImage(reference)]
        agreement = Agreement.of(first, second, truth, ours.labels)
        print(markdown.row([case] + agreement.cells()), flush=True)
        done.append(agreement)
    least = min(agreement.share for agreement in done)
    largest = max(agreement.largest for agreement in done)
    print(f"least agreement {100 * least:.4f} %, largest difference of an organ's DSC {largest:.5f}")
    mean_ours, mean_plain = np.mean([agreement.mean_dice for agreement in done], axis=0)
    print(f"mean DSC {mean_ours:.4f}, straightforward {mean_plain:.4f}")


if __name__ == "__main__":
    main()
