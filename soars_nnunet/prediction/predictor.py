"""Cascade prediction: one CT in, one label volume and a report out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch

from soars_nnunet.anatomy.measures import OrganMeasure
from soars_nnunet.anatomy.table import known_anatomy
from soars_nnunet.cascade.case_names import name_hashes, patient_of
from soars_nnunet.cascade.stored_model import StoredCascade
from soars_nnunet.images.network_frame import Scan, from_network_frame
from soars_nnunet.images.organ_measures import measure_organs
from soars_nnunet.prediction.coverage import organs_outside
from soars_nnunet.prediction.device_memory import fall_back_to_cpu, retry_out_of_memory
from soars_nnunet.prediction.doubts import tiling_doubts
from soars_nnunet.prediction.inferred import Inference
from soars_nnunet.prediction.opening import open_cascade
from soars_nnunet.prediction.options import DEFAULT_OPTIONS, PredictionOptions
from soars_nnunet.prediction.postprocess import NO_POSTPROCESSING, decided_for
from soars_nnunet.prediction.report import ModelRow, OrganRow, Report, organ_rows, target_rows
from soars_nnunet.prediction.review import review, with_volume_flags
from soars_nnunet.prediction.run_branches import run_branches
from soars_nnunet.prediction.stitching import Stitched, stitch
from soars_nnunet.prediction.timing import timed
from soars_nnunet.prediction.trained_models import choose_organs, lacking_folds, load_models


class CascadePredictor:
    """The trained cascade as a Python API on SimpleITK images.

    Example:
        >>> predictor = CascadePredictor(Path("nnUNet_results/Dataset007_X/SOARS__nnUNetPlans"))
        >>> labels, report = predictor.predict(sitk.ReadImage("ct.nii.gz"))

    Args:
        trained: Manifest of a trained cascade or the folder that holds it; a bundle, as its folder, zip or opened.
        options: Folds, device, tiling, organs and the like.

    Attributes:
        options: As given.
        device: Where the networks run.
        manifest: Of the cascade.
        bundle: Which bundle it is; None for what a training left.
        profile: Its organs.
        organs: Names of the organs that are predicted.
        models: The networks by branch.
        largest_part: Names of those organs of which only the largest part is kept.
        notes: What the user should know of the models, a sentence each.

    Raises:
        InputError: If the cascade has no such organ.
        MissingArtifactError: If the manifest, a branch or a fold is missing, or the bundle is damaged.
    """

    def __init__(self, trained: Path | StoredCascade, options: PredictionOptions = DEFAULT_OPTIONS) -> None:
        stored = trained if isinstance(trained, StoredCascade) else open_cascade(trained)
        self.options = options
        self.device = torch.device(options.device)
        self.manifest, self.bundle = stored.manifest, stored.bundle
        self.profile = self.manifest.profile
        self.organs = choose_organs(self.manifest, options.organs)
        self.models = load_models(stored, self.organs, options)
        decided = NO_POSTPROCESSING
        if options.postprocess:
            fingerprints = {key: model.fingerprint for key, model in self.models.items()}
            decided = decided_for(stored.postprocessing(), fingerprints, self.manifest.fingerprint)
        self.largest_part = [name for name in decided.largest_part if name in self.organs]
        doubts = tiling_doubts(self.manifest.made_from, self.models, options.used_tiling)
        self.notes = [*lacking_folds(stored, self.models, options), *decided.warnings, *doubts]

    @property
    def labels(self) -> dict[str, int]:
        """Label by organ name in the predicted volume, background first."""
        labels = {"background": 0}
        for name in self.organs:
            labels[name] = self.profile.by_name[name].label
        return labels

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
        labels, report = self.export(self.infer(Scan.of(image, name)))
        return labels, report.to_json()

    def infer(self, scan: Scan) -> Inference:
        """Run all branches.

        Args:
            scan: The CT.

        Returns:
            What the networks found, on their device; on the CPU where a GPU does not hold it.

        Raises:
            torch.OutOfMemoryError: If a GPU does not hold the networks and their tiles.
        """
        run = partial(run_branches, scan, self.models, self.manifest, self.organs)
        return fall_back_to_cpu(run, self.models.values())

    def export(self, inference: Inference) -> tuple[sitk.Image, Report]:
        """Make labels and report of a CT.

        Args:
            inference: What ``infer`` returns; brought to the CPU where a GPU does not hold the labels beside it.

        Returns:
            Label image as of ``predict``, and the report. Where another thread uses the same GPU, stage times include
            waiting for its work.
        """

        def export_on_cpu() -> tuple[sitk.Image, Report]:
            inference.to_cpu()
            torch.cuda.empty_cache()
            return self._export(inference)

        on_gpu = self.device.type != "cpu"
        return retry_out_of_memory(partial(self._export, inference), export_on_cpu, can_help=on_gpu)

    def _export(self, inference: Inference) -> tuple[sitk.Image, Report]:
        """As ``export``, where the results lie."""
        seconds = dict(inference.seconds)
        with timed(seconds, "stitch", self.device):
            stitched = stitch(inference, self.manifest, self.organs, self.largest_part)
            labels = from_network_frame(stitched.labels.cpu().numpy(), inference.image)
        with timed(seconds, "report", self.device):
            measures = self._measure(labels)
            organs = self._organ_rows(stitched, inference, measures)
        report = Report(
            case=inference.name,
            profile=self.profile.name,
            labels=self.labels,
            organs=organs,
            targets=target_rows(inference.peaks, inference.properties["sitk_stuff"]),
            largest_part=self.largest_part,
            warnings=[
                *inference.doubts,
                *review(organs, measures, self.manifest.anatomy),
                *self._warnings(inference.name),
            ],
            models={key: ModelRow(model.name, model.folds) for key, model in self.models.items()},
            provenance=self.manifest.provenance,
            seconds={stage: round(value, 2) for stage, value in seconds.items()},
            bundle=self.bundle,
        )
        return labels, report

    def _measure(self, labels: sitk.Image) -> dict[str, OrganMeasure]:
        values = {name: self.profile.by_name[name].label for name in self.organs}
        return measure_organs(sitk.GetArrayViewFromImage(labels), labels, values)

    def _organ_rows(
        self, stitched: Stitched, inference: Inference, measures: Mapping[str, OrganMeasure]
    ) -> dict[str, OrganRow]:
        predicted = [self.profile.by_name[name] for name in self.organs]
        missing = [name for name in self.organs if name not in measures]
        rows = organ_rows(
            stitched.labels,
            inference.properties["spacing"],
            predicted,
            inference.peaks,
            tiers=stitched.tiers,
            outside_scan=organs_outside(missing, measures, known_anatomy(self.organs), inference.image),
        )
        return with_volume_flags(rows, self.manifest.anatomy)

    def _warnings(self, name: str) -> list[str]:
        """What the user should know of this case, and of the models."""
        (hashed,) = name_hashes([patient_of(name, self.manifest.patient_pattern) or name])
        for key, model in self.models.items():
            if hashed in self.manifest.trained_on(key, model.folds):
                known = f"{name} has the name of a training patient: the models may have trained on this patient"
                return [known, *self.notes]
        return list(self.notes)
