"""SmallHard's raw dataset: one crop a patient and target, centred where its detection found the target.

Out of fold, as ``channels.py`` computed the heat maps. Arrays are (Z, Y, X) in nnU-Net's frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from soars_nnunet.cascade.case_names import crop_case, source_case
from soars_nnunet.cascade.classes import branch_dataset_json, partner_of, target_labels
from soars_nnunet.cascade.dataset_listing import CaseFiles
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.record import GUIDANCE_FACTS, NOT_ANNOTATED, TARGET_FACTS, Cascade
from soars_nnunet.cascade.source_cases import source_cases
from soars_nnunet.cascade.storage import json_hash, new_staging, publish, read_object, read_user_json, write_json
from soars_nnunet.cascade.target_facts import TargetFacts, write_target_facts
from soars_nnunet.geometry.heatmaps import heatmap_peaks
from soars_nnunet.geometry.voi import crop_box, voi_box
from soars_nnunet.guidance.crop_files import CropWriter, small_hard_labels
from soars_nnunet.guidance.targets import (
    DetectedCase,
    annotated_labels,
    organs_not_annotated,
    read_detected_case,
)
from soars_nnunet.guidance.voi_sizes import target_sizes_mm
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.network_frame import to_network_frame
from soars_nnunet.prediction.vois import voi_input
from soars_nnunet.progress import Progress

LOW_CONFIDENCE_PERCENTILE = 1.0
"""Of the out-of-fold peaks: a new patient's peak below it is of low confidence; ours."""

MIN_ORGAN_FRACTION = 0.5
"""A peak misses if its VOI holds less than this part of the target's voxels; ours."""

JITTER_MM = 4.0
"""Standard deviation of the jitter round the true centre where the peak misses; ours, half the heat map's sigma."""


@dataclass(frozen=True)
class Patient:
    """What the crops of a case are cut from.

    Attributes:
        detected: Labels, true centres and heat maps.
        ct_hu: (1, Z, Y, X).
        geometry: The image's ``origin``, ``spacing`` and ``direction`` (x, y, z).
    """

    detected: DetectedCase
    ct_hu: np.ndarray
    geometry: dict[str, Any]


@dataclass(frozen=True)
class FoundPeak:
    """Where detection found a target that is wholly annotated in a case.

    Attributes:
        height: Of the heat map at its peak.
        error_mm: (3,) from the true centre to the peak (Z, Y, X).
        missed: Whether a VOI at the peak would hold too little of the target.
    """

    height: float
    error_mm: np.ndarray
    missed: bool


def write_crops(cascade: Cascade, plans: str, progress: Progress) -> None:
    """Write SmallHard's raw dataset: one VOI crop per patient and target, centred at the out-of-fold peak.

    A crop holds the CT, all heat maps and every small & hard organ inside it. Where the peak
    misses the organ, the crop is centred at the true centre with jitter; the facts file counts these.
    Targets of both sides share the larger size and the lower least peak, so that no side is treated otherwise.
    A target of which some organ is not annotated has a crop for the others, if the peak does not miss them.

    Args:
        cascade: The stratified dataset, with out-of-fold heat maps.
        plans: Plans of the detection branch.
        progress: Receives a line a case, and one a target.

    Raises:
        InputError: If no case has some target.
        MissingArtifactError: If heat maps are missing.
    """
    dataset_json = read_user_json(raw_folder() / cascade.source / "dataset.json")
    cases = source_cases(cascade)
    sizes_mm = target_sizes_mm(cascade, cases)
    facts_path = cascade.channels("detection", plans) / TARGET_FACTS
    facts_path.unlink(missing_ok=True)  # written last: it says that the crops are complete
    found: dict[str, list[FoundPeak]] = {target: [] for target in sizes_mm}
    with new_staging(cascade.raw("small_hard")) as staging:
        writer = CropWriter(staging, dataset_json["file_ending"])
        for index, (case, files) in enumerate(cases.items(), 1):
            progress(f"VOIs [{index}/{len(cases)}] {case}")
            patient = _read_patient(cascade, plans, case, files)
            for target, peak in _write_patient(cascade, patient, sizes_mm, writer).items():
                found[target].append(peak)
        _write_dataset_json(cascade, plans, writer)
        publish(staging, cascade.raw("small_hard"))
    _write_split(cascade, writer.names)
    _write_not_annotated(cascade, writer.names)
    facts = _target_facts(cascade, found, sizes_mm)
    write_target_facts(facts_path, facts)
    for target, row in facts.items():
        size = " x ".join(f"{mm:.0f}" for mm in row.size_mm)
        progress(
            f"{target}: out-of-fold centre error {row.mean_error_mm:.1f} mm on average, {row.missed} of "
            f"{row.cases} peaks missed, VOI {size} mm"
        )


def detection_of_crops(cascade: Cascade, plans: str) -> str:
    """Hash of the stored out-of-fold detection of these plans, by which crops are known to be of it.

    Raises:
        MissingArtifactError: If it is not complete.
    """
    made_from = read_object(cascade.channels("detection", plans) / "provenance.json")
    return json_hash({key: made_from.get(key) for key in GUIDANCE_FACTS})


def _read_patient(cascade: Cascade, plans: str, case: str, files: CaseFiles) -> Patient:
    ct_hu, properties = to_network_frame(read_ct(files.ct))
    labels, _ = annotated_labels(cascade, case, files.labels)
    spacing_mm = np.asarray(properties["spacing"])
    detected = read_detected_case(cascade, plans, case, labels, spacing_mm=spacing_mm)
    return Patient(detected, ct_hu, properties["sitk_stuff"])


def _write_patient(
    cascade: Cascade, patient: Patient, sizes_mm: Mapping[str, np.ndarray], writer: CropWriter
) -> dict[str, FoundPeak]:
    """Write one patient's crops; returns the peaks of the targets that are wholly annotated."""
    detected = patient.detected
    spacing_mm = detected.spacing_mm
    own_labels = small_hard_labels(cascade, detected.labels)
    peaks, heights = heatmap_peaks(detected.heatmaps)
    centers = detected.centers_mm / spacing_mm
    random = np.random.default_rng(int(json_hash(detected.name)[:8], 16))
    found: dict[str, FoundPeak] = {}
    for row, (target, members) in enumerate(target_labels(cascade).items()):
        organ = np.isin(detected.labels, members)
        if not organ.any():
            continue
        peak = detected.grid.to_image(peaks[row])
        box = voi_box(peak, sizes_mm[target], spacing_mm)
        missed = bool(crop_box(organ, box, False).sum() < MIN_ORGAN_FRACTION * organ.sum())
        is_annotated = np.isfinite(centers[row]).all()
        if is_annotated:
            error_mm = (peak - centers[row]) * spacing_mm
            found[target] = FoundPeak(float(heights[row]), error_mm, missed)
        elif missed:
            continue
        if missed:
            jitter = random.normal(0, JITTER_MM, 3) / spacing_mm
            box = voi_box(centers[row] + jitter, sizes_mm[target], spacing_mm)
        channels = voi_input(patient.ct_hu, detected.heatmaps, detected.grid, box).numpy()
        name = crop_case(detected.name, target)
        writer.write(name, channels, own_labels, box=box, geometry=patient.geometry)
    return found


def _write_dataset_json(cascade: Cascade, plans: str, writer: CropWriter) -> None:
    targets = list(target_labels(cascade))
    dataset_json = branch_dataset_json(
        cascade, "small_hard", targets, num_cases=len(writer.names), ending=writer.ending
    )
    dataset_json["soars"]["detection"] = detection_of_crops(cascade, plans)
    write_json(writer.folder / "dataset.json", dataset_json)


def _write_split(cascade: Cascade, crops: Sequence[str]) -> None:
    """Split the crops as their patients are."""
    splits = []
    for split in cascade.splits("detection"):
        of_crops = {}
        for side, cases in split.items():
            of_crops[side] = sorted(crop for crop in crops if source_case(crop) in cases)
        splits.append(of_crops)
    write_json(cascade.preprocessed("small_hard") / "splits_final.json", splits)


def _write_not_annotated(cascade: Cascade, crops: Sequence[str]) -> None:
    by_case = organs_not_annotated(cascade)
    by_crop = {}
    for crop in sorted(crops):
        if source_case(crop) in by_case:
            by_crop[crop] = by_case[source_case(crop)]
    write_json(cascade.preprocessed("small_hard") / NOT_ANNOTATED, by_crop)


def _target_facts(
    cascade: Cascade, found: Mapping[str, Sequence[FoundPeak]], sizes_mm: Mapping[str, np.ndarray]
) -> dict[str, TargetFacts]:
    """Facts of all targets; those of both sides share the lower least peak."""
    own = {}
    for target, peaks in found.items():
        own[target] = summarise_peaks(peaks, sizes_mm[target])
    shared = {}
    for target, facts in own.items():
        partner = own[partner_of(cascade, target)]
        lower = min(facts.low_confidence_below, partner.low_confidence_below)
        shared[target] = replace(facts, low_confidence_below=lower)
    return shared


def summarise_peaks(peaks: Sequence[FoundPeak], size_mm: np.ndarray) -> TargetFacts:
    """Facts of a target.

    Args:
        peaks: Of at least one case.
        size_mm: (3,) size of its VOI (Z, Y, X).

    Returns:
        Of low confidence is what is lower than peaks at the right place are; where all missed, than those at wrong
        places.
    """
    heights = [peak.height for peak in peaks if not peak.missed]
    if not heights:
        heights = [peak.height for peak in peaks]
    errors_mm = [np.linalg.norm(peak.error_mm) for peak in peaks]
    return TargetFacts(
        size_mm=tuple(float(mm) for mm in size_mm),
        low_confidence_below=float(np.percentile(heights, LOW_CONFIDENCE_PERCENTILE)),
        mean_error_mm=float(np.mean(errors_mm)),
        missed=sum(peak.missed for peak in peaks),
        cases=len(peaks),
    )
