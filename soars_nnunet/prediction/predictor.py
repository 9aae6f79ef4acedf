"""Cascade prediction: one CT in, one label volume and a report out (blueprint: four branches, one grid each).

One preprocessing serves every branch of one spacing; anchor probabilities go on at network
resolution; VOIs are cropped at heat-map peaks; tiers are stitched without ever holding all
classes at full size.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from soars_nnunet.cascade.case_names import name_hashes, patient_of
from soars_nnunet.cascade.manifest import Manifest
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import MANIFEST, trained_folds
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.geometry.components import keep_largest_parts
from soars_nnunet.geometry.grid import Grid
from soars_nnunet.geometry.heatmaps import heatmap_peaks
from soars_nnunet.geometry.stitch import Candidate, merge_tiers, tier_argmax
from soars_nnunet.geometry.voi import voi_box
from soars_nnunet.images.network_frame import Scan, from_network_frame
from soars_nnunet.prediction.branch_model import BranchModel, guidance
from soars_nnunet.prediction.inferred import Inference, Voi
from soars_nnunet.prediction.options import DEFAULT_OPTIONS, PredictionOptions
from soars_nnunet.prediction.postprocess import load_postprocessing
from soars_nnunet.prediction.report import organ_rows, target_rows
from soars_nnunet.prediction.vois import voi_input

ABSENT_FRACTION = 0.5
"""A peak below this part of the low-confidence height means that the target is not in the scan; ours."""


class CascadePredictor:
    """The trained cascade as a Python API on SimpleITK images.

    Example:
        >>> predictor = CascadePredictor(Path("nnUNet_results/Dataset007_X/SOARS__nnUNetPlans"))
        >>> labels, report = predictor.predict(sitk.ReadImage("ct.nii.gz"))

    Args:
        manifest: Manifest of a trained cascade, or the folder that holds it.
        options: Folds, device, tiling, organs and the like.

    Raises:
        InputError: If the cascade has no such organ.
        MissingArtifactError: If the manifest, a branch or a fold is missing.
    """

    def __init__(self, manifest: Path, options: PredictionOptions = DEFAULT_OPTIONS) -> None:
        self.options = options
        self.device = torch.device(options.device)
        path = manifest / MANIFEST if manifest.is_dir() else manifest
        self.manifest = Manifest.load(path)
        self.profile = self.manifest.profile
        self.organs = self._chosen(options.organs)
        self.models = {
            key: BranchModel(
                (path.parent / branch.model).resolve(),
                _folds(path.parent / branch.model, options, len(branch.training_patients)),
                self.device,
                options.used_tiling,
                options.mirror,
            )
            for key, branch in self.manifest.branches.items()
            if options.organs is None or key in self._needed()
        }
        self._check()
        self.largest_part: list[str] = []
        self._notes: list[str] = []
        if options.postprocess:
            fingerprints = {key: model.fingerprint for key, model in self.models.items()}
            self.largest_part, self._notes = load_postprocessing(path, fingerprints)
            self.largest_part = [name for name in self.largest_part if name in self.labels]

    def _chosen(self, organs: Sequence[str] | None) -> list[str]:
        """Names of the wanted organs, which the cascade knows."""
        segmented = ("anchor", "mid_level", "small_hard")
        classes: set[str] = set()
        for key in segmented:
            if key in self.manifest.branches:
                classes.update(self._classes(key))
        known = [organ.name for organ in self.profile.organs if organ.name in classes]
        if organs is None:
            return known
        found = {text: self.profile.resolve(text) for text in organs}
        unknown = [text for text, organ in found.items() if organ is None or organ.name not in known]
        if unknown or not found:
            raise InputError(f"organs: expected some of {', '.join(known)}; got {', '.join(unknown) or 'none'}")
        return [name for name in known if name in {organ.name for organ in found.values() if organ}]

    def _needed(self) -> set[str]:
        """Branches that the wanted organs depend on; anchors guide every other."""
        tiers = {self.profile.by_name[name].tier for name in self.organs}
        return {"anchor", *tiers, *(("detection",) if "small_hard" in tiers else ())}

    def _check(self) -> None:
        if "anchor" not in self.models:
            raise MissingArtifactError("the manifest has no anchor branch; run soars-plan and train the cascade")
        if "detection" in self.models and "small_hard" not in self.models:
            raise MissingArtifactError(
                "the manifest has a detection but no small & hard branch; run soars-channels, soars-plan and train it"
            )
        anchor = PlansFile(self.models["anchor"].plans_manager.plans).grid_and_units
        for key in ("mid_level", "detection"):
            model = self.models.get(key)
            if model is None or not model.settings["guidance"]:
                continue
            own = PlansFile(model.plans_manager.plans).grid_and_units
            if own != anchor:
                raise MissingArtifactError(
                    f"{key} works at {own}, its anchors at {anchor}; retrain one of them as the other is"
                )

    @property
    def labels(self) -> dict[str, int]:
        """Label by organ name in the predicted volume, background first."""
        return {"background": 0, **{name: self.profile.by_name[name].label for name in self.organs}}

    def _classes(self, branch: str) -> Sequence[str]:
        return self.manifest.branches[branch].classes

    def predict(self, image: sitk.Image, name: str = "image") -> tuple[sitk.Image, dict[str, Any]]:
        """Segment one CT.

        Args:
            image: CT in HU, any axis orientation.
            name: Case name, for messages and the check against the training cases.

        Returns:
            Label image on the input's grid (uint8, the profile's labels), and a JSON-able report with
            label, volume (ml), status and confidence of every organ, warnings and stage times.

        Raises:
            InputError: If the image is not a usable CT.
        """
        return self.export(self.infer(Scan.of(image, name)))

    def infer(self, scan: Scan) -> Inference:
        """Run all branches.

        Args:
            scan: The CT.

        Returns:
            What the networks found, on their device; on the CPU where a GPU does not hold it.

        Raises:
            torch.OutOfMemoryError: If a GPU does not hold the networks and their tiles.
        """
        try:
            return self._infer(scan)
        except torch.OutOfMemoryError:
            if self.device.type == "cpu":
                raise
        with ExitStack() as stack:  # not in the handler: its traceback keeps what was allocated
            for model in self.models.values():
                stack.enter_context(model.results_on_cpu())
            return self._infer(scan)

    def export(self, inference: Inference) -> tuple[sitk.Image, dict[str, Any]]:
        """Make labels and report of a CT.

        Args:
            inference: What ``infer`` returns; brought to the CPU where a GPU does not hold the labels beside it.

        Returns:
            As ``predict``. Where another thread uses the same GPU, stage times include waiting for its work.
        """
        try:
            return self._export(inference)
        except torch.OutOfMemoryError:
            if self.device.type == "cpu":
                raise
        inference.to_cpu()
        torch.cuda.empty_cache()
        return self._export(inference)

    def _export(self, inference: Inference) -> tuple[sitk.Image, dict[str, Any]]:
        """As ``export``, where the results lie."""
        seconds, spacing_mm = dict(inference.seconds), inference.properties["spacing"]
        with self._timed(seconds, "stitch"):
            merged, tiers = self._stitch(inference)
            labels = from_network_frame(merged.cpu().numpy(), inference.image)
        with self._timed(seconds, "report"):
            present = [organ for organ in self.profile.organs if organ.name in self.labels]
            organs = organ_rows(merged, spacing_mm, present, inference.peaks, tiers)
        report = {
            "case": inference.name,
            "profile": self.profile.name,
            "labels": self.labels,
            "organs": organs,
            "targets": target_rows(inference.peaks, inference.properties["sitk_stuff"]),
            "largest_part": self.largest_part,
            "warnings": self._warnings(inference.name),
            "models": {key: {"name": model.folder.name, "folds": model.folds} for key, model in self.models.items()},
            "provenance": self.manifest.provenance,
            "seconds": {stage: round(value, 2) for stage, value in seconds.items()},
        }
        return labels, report

    @contextmanager
    def _timed(self, seconds: dict[str, float], stage: str) -> Iterator[None]:
        """Note a stage's wall time; a GPU finishes it first."""
        start = time.perf_counter()
        yield
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        seconds[stage] = time.perf_counter() - start

    def _stitch(self, inference: Inference) -> tuple[torch.Tensor, dict[str, Candidate]]:
        """Labels (Z, Y, X) of all tiers and VOIs, and the candidates of the tiers."""
        candidates: list[tuple[str, Candidate]] = []
        devices = {probabilities.device for probabilities, _ in inference.tiers.values()}
        device = devices.pop() if len(devices) == 1 else torch.device("cpu")  # some did not fit elsewhere
        proposed = self._kept(self.candidates(inference), candidates)
        merged = merge_tiers(inference.shape, proposed, self.profile_precedence(), device)
        if chosen := [self.labels[name] for name in self.largest_part]:
            parts = keep_largest_parts(merged.cpu().numpy(), chosen, inference.properties["spacing"])
            merged = torch.from_numpy(parts).to(device)
        unwanted = [organ.label for organ in self.profile.organs if organ.name not in self.organs]
        dropped = torch.tensor(unwanted, dtype=torch.uint8, device=device)
        for plane in merged if unwanted else ():
            plane[torch.isin(plane, dropped)] = 0
        return merged, dict(candidates)

    @staticmethod
    def _kept(candidates: Iterator[tuple[str, Candidate]], kept: list) -> Iterator[Candidate]:
        for key, candidate in candidates:
            if key in ("anchor", "mid_level"):
                kept.append((key, candidate))
            yield candidate

    def profile_precedence(self) -> np.ndarray:
        """Precedence by final label, background 0 first."""
        return np.array([0, *(organ.precedence for organ in sorted(self.profile.organs, key=lambda o: o.label))])

    def _infer(self, scan: Scan) -> Inference:
        """As ``infer``, with results where the models hold them."""
        ct_hu, properties = scan.ct_hu, scan.properties
        z, y, x = ct_hu.shape[1:]
        result = Inference(scan.name, scan.image, (z, y, x), properties, seconds={"check": scan.seconds})
        anchor = self.models["anchor"]
        with self._timed(result.seconds, "preprocess"):
            ct, grid = anchor.preprocess(ct_hu, properties)
            body = anchor.body(ct)
        with self._timed(result.seconds, "anchor"):
            probabilities = anchor.probabilities(ct, body)
            result.tiers["anchor"] = (probabilities, grid)
        guided = torch.cat((ct.to(probabilities.device), probabilities[1:]))

        def input_of(model: BranchModel) -> tuple[torch.Tensor, Grid, torch.Tensor | None]:
            return (guided, grid, body) if model.settings["guidance"] else (*model.preprocess(ct_hu, properties), None)

        if "mid_level" in self.models:
            with self._timed(result.seconds, "mid_level"):
                model = self.models["mid_level"]
                data, own, known = input_of(model)
                result.tiers["mid_level"] = (model.probabilities(data, known), own)
        if "detection" in self.models:
            with self._timed(result.seconds, "detection"):
                model = self.models["detection"]
                data, own, known = input_of(model)
                result.heatmaps = (guidance(model, data, known), own)
                result.peaks = self._find_targets(*result.heatmaps, result.shape, properties["spacing"])
            with self._timed(result.seconds, "small_hard"):
                result.vois = self._segment_vois(ct_hu, result)
        return result

    def _find_targets(
        self, heatmaps: torch.Tensor, grid: Grid, image_shape: Sequence[int], spacing_mm: Sequence[float]
    ) -> dict[str, dict[str, Any]]:
        positions, heights = heatmap_peaks(heatmaps)
        sigma_mm = self.models["detection"].settings["sigma_mm"]
        found = {}
        for target, position, height in zip(self._classes("detection"), positions, heights, strict=True):
            center = grid.to_image(position)
            low = self.manifest.targets[target].low_confidence_below
            border_mm = np.minimum(center + 0.5, np.asarray(image_shape) - 0.5 - center) * np.asarray(spacing_mm)
            status = "found"
            if height < ABSENT_FRACTION * low:
                status = "absent"
            elif border_mm.min() < sigma_mm:
                status = "cut_by_field_of_view"
            elif height < low:
                status = "low_confidence"
            found[target] = {"height": float(height), "center_vox": center.tolist(), "status": status}
        return found

    def _segment_vois(self, ct_hu: np.ndarray, result: Inference) -> list[Voi]:
        """Segment the VOIs of all targets that were found and are wanted, their tiles batched."""
        assert result.heatmaps is not None
        heatmaps, grid = result.heatmaps
        model = self.models["small_hard"]
        found, inputs = [], []
        for target, peak in result.peaks.items():
            wanted = not {organ.name for organ in self.profile.targets[target]}.isdisjoint(self.organs)
            if peak["status"] == "absent" or not wanted:
                continue
            size_mm = self.manifest.targets[target].size_mm
            box = voi_box(peak["center_vox"], size_mm, result.properties["spacing"])
            channels = voi_input(ct_hu, heatmaps if model.settings["guidance"] else heatmaps[:0], grid, box)
            data, own = model.preprocess(channels, result.properties)
            found.append((target, box, own))
            inputs.append(data)
        vois = zip(found, model.voi_probabilities(inputs), strict=True)
        return [Voi(target, box, probabilities, own) for (target, box, own), probabilities in vois]

    def candidates(self, inference: Inference) -> Iterator[tuple[str, Candidate]]:
        """Label proposals in final labels: one per tier, one per VOI (only its own target's organs)."""
        by_name = self.profile.by_name
        for key, (probabilities, grid) in inference.tiers.items():
            final = [0, *(by_name[name].label for name in self._classes(key))]
            yield key, tier_argmax(probabilities, grid).to_candidate(final)
        for voi in inference.vois:
            own = [by_name[name] for name in self._classes("small_hard")]
            final = [0, *(organ.label if organ.target == voi.target else 0 for organ in own)]
            z, y, x = (lo for lo, _ in voi.box)
            yield voi.target, tier_argmax(voi.probabilities, voi.grid).to_candidate(final, (z, y, x))

    def _warnings(self, name: str) -> list[str]:
        (hashed,) = name_hashes([patient_of(name, self.manifest.patient_pattern) or name])
        if any(hashed in self.manifest.trained_on(key, model.folds) for key, model in self.models.items()):
            known = f"{name} has the name of a training patient: the models may have trained on this patient"
            return [known, *self._notes]
        return self._notes


def _folds(folder: Path, options: PredictionOptions, num_folds: int) -> Sequence[int]:
    """Folds to average; by default the trained ones of the split, not extra ones that nnU-Net splits at random."""
    if options.folds is not None:
        return options.folds
    known = [fold for fold in trained_folds(folder) if fold < num_folds]
    return known[:1] if options.fast else known
