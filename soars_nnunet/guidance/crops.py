"""SmallHard's raw dataset: one crop a patient and target, centred where its detection found the target.

Out of fold, as ``channels.py`` computed the heat maps. Arrays are (Z, Y, X) in nnU-Net's frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet.cascade.case_names import crop_case, is_jittered, jittered_crop, source_case
from soars_nnunet.cascade.classes import branch_dataset_json, branch_labels, partner_of, target_labels
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.raw_cases import training_cases
from soars_nnunet.cascade.record import GUIDANCE_FACTS, TARGET_FACTS, UNANNOTATED, Cascade
from soars_nnunet.cascade.storage import json_hash, new_staging, publish, read_json, write_json
from soars_nnunet.cascade.stored_cases import load_preprocessed, read_channels
from soars_nnunet.errors import InputError
from soars_nnunet.geometry.grid import Box, Grid
from soars_nnunet.geometry.heatmaps import heatmap_peaks
from soars_nnunet.geometry.organ_centers import organ_centers_mm
from soars_nnunet.geometry.voi import crop_box, sample_on_box, target_extents_mm, voi_box, voi_size_mm
from soars_nnunet.guidance.targets import drawn_labels, open_targets, undrawn_organs
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.network_frame import to_network_frame
from soars_nnunet.prediction.vois import voi_input
from soars_nnunet.progress import Progress

LOW_CONFIDENCE_PERCENTILE = 1.0

MIN_ORGAN_FRACTION = 0.5
"""A peak misses if its VOI holds less than this part of the target's voxels; ours."""

JITTER_MM = 4.0
"""Standard deviation of the jitter round the true centre where the peak misses; ours, half the heat map's sigma."""


@dataclass(frozen=True)
class Patient:
    """What the crops of a case are cut from.

    Attributes:
        case: Its name.
        ct_hu: (1, Z, Y, X).
        properties: Of the same frame, with ``spacing`` (Z, Y, X) in mm.
        labels: (Z, Y, X) of the source dataset, 0 where nobody drew.
        heatmaps: (T, z, y, x), out of fold.
        grid: Where the heat maps lie.
        centers: (T, 3) true centres in image voxels; NaN without a voxel, or where an organ is not drawn.
    """

    case: str
    ct_hu: np.ndarray
    properties: dict[str, Any]
    labels: np.ndarray
    heatmaps: np.ndarray
    grid: Grid
    centers: np.ndarray

    @property
    def spacing_mm(self) -> np.ndarray:
        """Voxel size (Z, Y, X)."""
        return np.asarray(self.properties["spacing"])


def write_crops(cascade: Cascade, plans: str, progress: Progress, jittered: int | None = None) -> None:
    """Write SmallHard's raw dataset: one VOI crop per patient and target, centred at the out-of-fold peak.

    A crop holds the CT, all heat maps and every small & hard organ inside it. Where the peak
    misses the organ, the crop is centred at the true centre with jitter; the facts file counts these.
    Targets of both sides share the larger size and the lower least peak, so that no side is treated otherwise.
    A target of which nobody drew some organ has a crop for the others, if the peak does not miss them.

    Args:
        cascade: The stratified dataset, with out-of-fold heat maps.
        plans: Plans of the detection branch.
        progress: Receives a line a case, and one a target.
        jittered: Further crops a patient and target, for training alone: centred as far off the true centre, in
            any direction, as the detection was in another patient of the fold, with the target's heat map moved along.
            None for as many as there are now, at first none.

    Raises:
        InputError: If no case has some target.
        MissingArtifactError: If heat maps are missing.
    """
    if jittered is None:
        present = cascade.raw("small_hard") / "dataset.json"
        known = read_json(present)["soars"] if present.is_file() else {}
        jittered = known.get("jittered", 0)
    dataset_json = read_json(raw_folder() / cascade.source / "dataset.json")
    cases = sorted(training_cases(cascade.source, dataset_json).items())
    undrawn, targets = undrawn_organs(cascade), target_labels(cascade)
    extents = np.stack([_extents(cascade, label, undrawn.get(case, ())) for case, (_, label) in cases])
    unseen = [name for name, rows in zip(targets, extents.swapaxes(0, 1), strict=True) if np.isnan(rows).all()]
    if unseen:
        raise InputError(f"{cascade.source}: no case has {', '.join(unseen)}; leave the organs out of the profile")
    partners = {name: partner_of(cascade, name) for name in targets}
    own_sizes = dict(zip(targets, voi_size_mm(extents), strict=True))
    sizes = {name: np.maximum(size, own_sizes[partners[name]]) for name, size in own_sizes.items()}

    ending, facts = dataset_json["file_ending"], {name: {} for name in targets}
    facts_path = cascade.channels("detection", plans) / TARGET_FACTS
    facts_path.unlink(missing_ok=True)  # written last: it says that the crops are complete
    with new_staging(cascade.raw("small_hard")) as staging:
        for index, (case, (image, label)) in enumerate(cases, 1):
            progress(f"VOIs [{index}/{len(cases)}] {case}")
            patient = _read(cascade, plans, case, image, label, undrawn.get(case, ()))
            for target, fact in _write_peak_crops(cascade, staging, patient, sizes, ending).items():
                facts[target][case] = fact
        for index, (case, (image, label)) in enumerate(cases if jittered else (), 1):
            progress(f"jittered VOIs [{index}/{len(cases)}] {case}")
            patient = _read(cascade, plans, case, image, label, undrawn.get(case, ()))
            _write_jittered_crops(cascade, staging, patient, sizes, ending, facts, jittered)
        crops = [path.name.removesuffix(ending) for path in (staging / "labelsTr").iterdir()]
        ours = branch_dataset_json(cascade, "small_hard", list(targets), len(crops), ending)
        ours["soars"] |= {"jittered": jittered, "detection": detection_of_crops(cascade, plans)}
        write_json(staging / "dataset.json", ours)
        publish(staging, cascade.raw("small_hard"))
    splits = [
        {side: sorted(c for c in crops if source_case(c) in patients) for side, patients in split.items()}
        for split in cascade.splits("detection")
    ]
    for split in splits:
        split["val"] = [crop for crop in split["val"] if not is_jittered(crop)]
    write_json(cascade.preprocessed("small_hard") / "splits_final.json", splits)
    open_crops = {crop: undrawn[source_case(crop)] for crop in sorted(crops) if source_case(crop) in undrawn}
    write_json(cascade.preprocessed("small_hard") / UNANNOTATED, open_crops)
    summary = {name: _summary(list(rows.values()), sizes[name]) for name, rows in facts.items()}
    lowest = {name: row["low_confidence_below"] for name, row in summary.items()}
    for name, row in summary.items():
        row["low_confidence_below"] = min(lowest[name], lowest[partners[name]])
    write_json(facts_path, summary)
    if jittered:
        progress(f"{sum(map(is_jittered, crops))} further crops, for training alone; asked for {jittered} a VOI")
    for name, row in summary.items():
        progress(
            f"{name}: out-of-fold centre error {row['mean_error_mm']:.1f} mm on average, {row['missed']} of "
            f"{row['cases']} peaks missed, VOI {' x '.join(f'{mm:.0f}' for mm in row['size_mm'])} mm"
        )


def detection_of_crops(cascade: Cascade, plans: str) -> str:
    """Hash of the stored out-of-fold detection of these plans, by which crops are known to be of it.

    Raises:
        MissingArtifactError: If it is not complete.
    """
    made_from = read_json(cascade.channels("detection", plans) / "provenance.json")
    return json_hash({key: made_from[key] for key in GUIDANCE_FACTS})


def _extents(cascade: Cascade, label: Path, undrawn: Sequence[str]) -> np.ndarray:
    labels, properties = drawn_labels(label, cascade, undrawn)
    extents = target_extents_mm(labels, list(target_labels(cascade).values()), properties["spacing"])
    extents[open_targets(cascade, undrawn)] = np.nan
    return extents


def _read(cascade: Cascade, plans: str, case: str, image: Path, label: Path, undrawn: Sequence[str]) -> Patient:
    ct_hu, properties = to_network_frame(read_ct(image))
    labels, _ = drawn_labels(label, cascade, undrawn)
    heatmaps = read_channels(cascade.channels("detection", plans), case).astype(np.float32)
    _, _, preprocessed = load_preprocessed(cascade.data("detection", plans), case)
    grid = Grid.from_properties(preprocessed, heatmaps.shape[1:])
    spacing = np.asarray(properties["spacing"])
    centers = organ_centers_mm(labels, list(target_labels(cascade).values()), spacing) / spacing
    centers[open_targets(cascade, undrawn)] = np.nan
    return Patient(case, ct_hu, properties, labels, heatmaps, grid, centers)


def _write_peak_crops(
    cascade: Cascade, staging: Path, patient: Patient, sizes: dict[str, np.ndarray], ending: str
) -> dict[str, dict[str, Any]]:
    """Write one patient's crops; returns peak height, centre error and miss by target wholly drawn in the case."""
    peaks, heights = heatmap_peaks(patient.heatmaps)
    random = np.random.default_rng(int(json_hash(patient.case)[:8], 16))
    facts: dict[str, dict[str, Any]] = {}
    for row, (target, members) in enumerate(target_labels(cascade).items()):
        organ = np.isin(patient.labels, members)
        if not organ.any():
            continue
        peak, center = patient.grid.to_image(peaks[row]), patient.centers[row]
        box = voi_box(peak, sizes[target], patient.spacing_mm)
        missed = bool(crop_box(organ, box, False).sum() < MIN_ORGAN_FRACTION * organ.sum())
        if np.isfinite(center).all():
            error_mm = (peak - center) * patient.spacing_mm
            facts[target] = {"height": float(heights[row]), "error_mm": error_mm, "missed": missed}
            if missed:
                off = random.normal(0, JITTER_MM, 3) / patient.spacing_mm
                box = voi_box(center + off, sizes[target], patient.spacing_mm)
        elif missed:
            continue
        channels = voi_input(patient.ct_hu, patient.heatmaps, patient.grid, box).numpy()
        _write_crop(cascade, staging, patient, crop_case(patient.case, target), channels, box, ending)
    return facts


def _write_jittered_crops(
    cascade: Cascade,
    staging: Path,
    patient: Patient,
    sizes: dict[str, np.ndarray],
    ending: str,
    facts: dict[str, dict[str, dict[str, Any]]],
    count: int,
) -> None:
    """Crops centred as far off, in any direction, as in patients of the same fold whose peaks did not miss.

    A detection network is off in a direction of its own, which is not that of the networks of new patients. Patients of
    other folds are some network's validation, which must not tell where its own peaks lie. None where no other patient
    is in the fold.
    """
    peaks, _ = heatmap_peaks(patient.heatmaps)
    random = np.random.default_rng([int(json_hash(patient.case)[:8], 16), 1])
    fold = next(split["val"] for split in cascade.splits("detection") if patient.case in split["val"])
    for row, (target, by_case) in enumerate(facts.items()):
        others = [fact for case, fact in by_case.items() if case in fold and case != patient.case]
        known = [np.linalg.norm(fact["error_mm"]) for fact in others if not fact["missed"]]
        own = by_case.get(patient.case)
        if own is None or own["missed"] or not known:
            continue
        for index in range(count):
            direction = random.normal(size=3)
            error_mm = known[random.integers(len(known))] * direction / np.linalg.norm(direction)
            box = voi_box(patient.centers[row] + error_mm / patient.spacing_mm, sizes[target], patient.spacing_mm)
            channels = voi_input(patient.ct_hu, patient.heatmaps, patient.grid, box).numpy()
            at_peak = voi_box(patient.grid.to_image(peaks[row]), sizes[target], patient.spacing_mm)
            at_peak = tuple((start, start + hi - lo) for (start, _), (lo, hi) in zip(at_peak, box, strict=True))
            channels[1 + row] = sample_on_box(patient.heatmaps[row : row + 1], patient.grid, at_peak)[0].numpy()
            name = jittered_crop(crop_case(patient.case, target), index + 1)
            _write_crop(cascade, staging, patient, name, channels, box, ending)


def _write_crop(
    cascade: Cascade, staging: Path, patient: Patient, name: str, channels: np.ndarray, box: Box, ending: str
) -> None:
    lookup = np.zeros(int(patient.labels.max()) + 1, np.uint8)
    for value, (organ, _) in enumerate(branch_labels(cascade, "small_hard"), 1):
        if cascade.labels[organ] < len(lookup):
            lookup[cascade.labels[organ]] = value
    stuff = patient.properties["sitk_stuff"]
    direction = np.reshape(stuff["direction"], (3, 3))
    start = np.array([lo for lo, _ in box][::-1]) * np.asarray(stuff["spacing"])
    origin = (np.asarray(stuff["origin"]) + direction @ start).tolist()
    files = {f"imagesTr/{name}_{i:04d}{ending}": array for i, array in enumerate(channels)}
    files[f"imagesTr/{name}_0000{ending}"] = np.clip(np.rint(channels[0]), -32768, 32767).astype(np.int16)
    files[f"labelsTr/{name}{ending}"] = lookup[crop_box(patient.labels, box, 0)]
    for path, array in files.items():
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(stuff["spacing"])
        image.SetDirection(stuff["direction"])
        image.SetOrigin(origin)
        (staging / path).parent.mkdir(exist_ok=True)
        sitk.WriteImage(image, str(staging / path), True)


def _summary(rows: list[dict[str, Any]], size_mm: np.ndarray) -> dict[str, Any]:
    # how low a peak can be at the right place; where all missed, of those at wrong ones
    heights = [row["height"] for row in rows if not row["missed"]] or [row["height"] for row in rows]
    return {
        "size_mm": [float(mm) for mm in size_mm],
        "low_confidence_below": float(np.percentile(heights, LOW_CONFIDENCE_PERCENTILE)),
        "mean_error_mm": float(np.mean([np.linalg.norm(row["error_mm"]) for row in rows])),
        "missed": sum(row["missed"] for row in rows),
        "cases": len(rows),
    }
