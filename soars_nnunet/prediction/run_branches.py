"""All branches of the cascade on one CT.

One preprocessing serves every branch of one spacing; anchor probabilities go on at network resolution; VOIs are
cropped at heat-map peaks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.geometry.grid import Box, Grid
from soars_nnunet.geometry.voi import voi_box
from soars_nnunet.images.network_frame import Scan
from soars_nnunet.prediction.branch_model import BranchModel, guidance
from soars_nnunet.prediction.inferred import Inference, Voi
from soars_nnunet.prediction.on_grid import OnGrid
from soars_nnunet.prediction.peaks import Peak, read_peaks
from soars_nnunet.prediction.timing import timed
from soars_nnunet.prediction.vois import voi_input
from soars_nnunet.profile import Profile


def run_branches(scan: Scan, models: Mapping[str, BranchModel], manifest: Manifest, organs: Sequence[str]) -> Inference:
    """Run the networks of all loaded branches.

    Args:
        scan: The CT.
        models: By branch; at least the anchor's.
        manifest: Of the cascade.
        organs: Names of the wanted ones; VOIs that hold none of them are left out.

    Returns:
        What they found, where the models hold their results.
    """
    z, y, x = scan.ct_hu.shape[1:]
    result = Inference(
        scan.name, scan.image, (z, y, x), scan.properties, seconds={"check": scan.seconds}, doubts=scan.doubts
    )
    anchor = models["anchor"]
    with timed(result.seconds, "preprocess", anchor.device):
        ct, grid = anchor.preprocess(scan.ct_hu, scan.properties)
        body = anchor.body(ct)
    with timed(result.seconds, "anchor", anchor.device):
        softmax = anchor.probabilities(ct, body)
        result.tiers["anchor"] = OnGrid(softmax, grid)
    guided = _Seen(torch.cat((ct.to(softmax.device), softmax[1:])), grid, body)
    if "mid_level" in models:
        model = models["mid_level"]
        with timed(result.seconds, "mid_level", model.device):
            seen = _seen_by(model, scan, guided)
            result.tiers["mid_level"] = OnGrid(model.probabilities(seen.data, seen.body), seen.grid)
    if "detection" in models:
        model = models["detection"]
        with timed(result.seconds, "detection", model.device):
            seen = _seen_by(model, scan, guided)
            result.heatmaps = OnGrid(guidance(model, seen.data, seen.body), seen.grid)
            targets, sigma_mm = manifest.branches["detection"].classes, model.settings.sigma_mm
            result.peaks = read_peaks(result.heatmaps, targets, manifest.targets, sigma_mm)
        wanted = _wanted_peaks(result.peaks, manifest.profile, organs)
        with timed(result.seconds, "small_hard", model.device):
            result.vois = _segment_vois(scan, models["small_hard"], result.heatmaps, wanted, manifest=manifest)
    return result


@dataclass(frozen=True)
class _Seen:
    """What a network sees: (C, z, y, x) channels, their grid, and where the patient is if that is known already."""

    data: torch.Tensor
    grid: Grid
    body: torch.Tensor | None


def _seen_by(model: BranchModel, scan: Scan, guided: _Seen) -> _Seen:
    """The CT with the anchors' output for a guided model, else the CT alone, on the model's own grid."""
    if model.settings.guidance:
        return guided
    data, grid = model.preprocess(scan.ct_hu, scan.properties)
    return _Seen(data, grid, None)


def _wanted_peaks(peaks: Mapping[str, Peak], profile: Profile, organs: Sequence[str]) -> list[Peak]:
    """Peaks of the targets that are there and of which an organ is wanted."""
    wanted = []
    for target, peak in peaks.items():
        names = {organ.name for organ in profile.targets[target]}
        if peak.status != "not_found" and not names.isdisjoint(organs):
            wanted.append(peak)
    return wanted


def _segment_vois(
    scan: Scan, model: BranchModel, heatmaps: OnGrid, peaks: Sequence[Peak], *, manifest: Manifest
) -> list[Voi]:
    """Segment the VOIs at peaks, their tiles batched."""
    boxes: list[Box] = []
    grids: list[Grid] = []
    inputs: list[torch.Tensor] = []
    channels = heatmaps.values if model.settings.guidance else heatmaps.values[:0]
    for peak in peaks:
        size_mm = manifest.targets[peak.target].size_mm
        box = voi_box(peak.center_vox, size_mm, scan.properties["spacing"])
        data, grid = model.preprocess(voi_input(scan.ct_hu, channels, heatmaps.grid, box), scan.properties)
        boxes.append(box)
        grids.append(grid)
        inputs.append(data)
    softmaxes = model.voi_probabilities(inputs)
    vois = []
    for peak, box, grid, softmax in zip(peaks, boxes, grids, softmaxes, strict=True):
        vois.append(Voi(peak.target, box, OnGrid(softmax, grid)))
    return vois
