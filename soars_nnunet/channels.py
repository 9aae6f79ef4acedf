"""Out-of-fold guidance: what each training case gets from models that never saw it.

Anchor probabilities become channels of MidLevel and Detection; heat maps become channels of
SmallHard, and their peaks the centres of its VOI crops. Test cases will be guided by models that
did not train on them, so training cases must be too.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk
import torch

from soars_nnunet.artifacts import (
    CHECKPOINT,
    CONFIGURATION,
    TARGET_FACTS,
    UNANNOTATED,
    Cascade,
    MissingArtifactError,
    crop_case,
    file_hash,
    json_hash,
    new_staging,
    provenance,
    publish,
    raw_folder,
    read_json,
    replacing,
    source_case,
    write_json,
)
from soars_nnunet.ct import AIR_HU, InputError, from_network_frame, read_ct, to_network_frame
from soars_nnunet.detections import (
    drawn_labels,
    format_detections,
    score_detections,
    target_labels,
    undrawn_organs,
    write_detections,
)
from soars_nnunet.geometry.grid import Box, Grid
from soars_nnunet.geometry.heatmaps import heatmap_peaks
from soars_nnunet.geometry.organ_centers import organ_centers_mm
from soars_nnunet.geometry.voi import crop_box, sample_on_box, target_extents_mm, voi_box, voi_size_mm
from soars_nnunet.inference import BranchModel
from soars_nnunet.preprocess import load_preprocessed, preprocessing_record, read_channels, write_channels
from soars_nnunet.stratify import branch_dataset_json, branch_labels, training_cases

Progress = Callable[[str], None]

LOW_CONFIDENCE_PERCENTILE = 1.0
MIN_ORGAN_FRACTION = 0.5
"""A peak misses if its VOI holds less than this part of the target's voxels; ours."""
JITTER_MM = 4.0
"""Standard deviation of the jitter round the true centre where the peak misses; ours, half the heat map's sigma."""


def make_channels(
    cascade: Cascade,
    plans: str,
    device: torch.device,
    raw: bool = False,
    progress: Progress = lambda text: None,
    branches: Sequence[str] = ("anchor", "detection"),
    crops: bool = True,
) -> list[str]:
    """Make the out-of-fold output of every branch that others are guided by, as far as models exist.

    Args:
        cascade: The stratified dataset.
        plans: Plans name of the guiding models.
        device: Where to run the networks.
        raw: Also write the anchor channels as ordinary nnU-Net channel files on the CT grid.
        progress: Receives one line per case.
        branches: Guiding branches to run; detection is left out while none of its folds is trained.
        crops: Also write SmallHard's crops, of which a dataset has one set, whatever the plans.

    Returns:
        Keys of the branches whose output is complete.

    Raises:
        MissingArtifactError: If folds are missing or were trained on another split.
    """
    if not {"mid_level", "detection"} & set(cascade.datasets):
        raise MissingArtifactError(f"{cascade.source}: the profile has anchors only, so no branch needs channels")
    done = ["anchor"]
    anchor_plans = cascade.plans_of("anchor", plans)
    out_of_fold(cascade, "anchor", anchor_plans, device, progress)
    complete_guided_datasets(cascade, anchor_plans, raw, progress)
    if "detection" in cascade.datasets and "detection" in branches:
        plans = cascade.plans_of("detection", plans)
        if not cascade.trained_folds("detection", plans):
            command = cascade.train_command("detection", 0, plans)
            progress(f"Detection: not trained yet; after soars-plan run: {command}")
        else:
            out_of_fold(cascade, "detection", plans, device, progress)
            scores = score_detections(cascade, plans, progress)
            write_detections(cascade, plans, scores)
            for line in format_detections(scores):
                progress(line)
            if crops:
                write_crops(cascade, plans, progress)
            done.append("detection")
    return done


def out_of_fold(cascade: Cascade, branch: str, plans: str, device: torch.device, progress: Progress) -> None:
    """Store a branch's output on each training case, computed by the fold that validates on the case.

    Anchor stores organ probabilities, detection heat maps: float16 (C, z, y, x) on the preprocessed
    grid. Finished cases are kept if split, models and plans are unchanged.

    Raises:
        MissingArtifactError: If a fold is missing, or was trained on another split.
    """
    record = guidance_record(cascade, branch, plans)
    splits, folder = cascade.splits(branch), cascade.channels(branch, plans)
    if not (folder / "started.json").is_file() or read_json(folder / "started.json") != record:
        shutil.rmtree(folder, ignore_errors=True)
        write_json(folder / "started.json", record)
    total, count = sum(len(split["val"]) for split in splits), 0
    for fold, split in enumerate(splits):
        model: BranchModel | None = None
        for case in split["val"]:
            count += 1
            kept = _is_finished(folder, case)
            progress(f"{branch} [{count}/{total}] fold {fold}: {case}{' (kept)' if kept else ''}")
            if kept:
                continue
            model = model or BranchModel(cascade.model(branch, plans), [fold], device)
            data, _, _ = load_preprocessed(cascade.data(branch, plans), case)
            write_channels(folder, case, guidance(model, torch.from_numpy(data)).cpu().numpy())
    write_json(folder / "provenance.json", record)


def guidance(model: BranchModel, data: torch.Tensor) -> torch.Tensor:
    """Channels that a branch passes on: (organs, z, y, x) probabilities, or (targets, z, y, x) heat maps in 0..1."""
    if model.settings["branch"] == "detection":
        return model.outputs(data)[1:].clamp(0, 1)
    return model.probabilities(data)[1:]


def complete_guided_datasets(cascade: Cascade, plans: str, raw: bool, progress: Progress) -> None:
    """Name the anchor channels in the guided datasets; with ``raw`` also write them as channel files."""
    anchors = [name for name, _ in branch_labels(cascade, "anchor")]
    for branch in ("mid_level", "detection"):
        if branch not in cascade.datasets:
            continue
        path = cascade.raw(branch) / "dataset.json"
        old = read_json(path)
        new = branch_dataset_json(cascade, branch, anchors, old["numTraining"], old["file_ending"])
        new["dataset"] = {case: {**files, "images": files["images"][:1]} for case, files in old["dataset"].items()}
        if raw:
            for case, files in new["dataset"].items():
                progress(f"{branch}: channel files of {case}")
                files["images"] += _write_raw_channels(cascade, branch, plans, case, old["file_ending"])
        write_json(path, new)


def write_crops(cascade: Cascade, plans: str, progress: Progress) -> None:
    """Write SmallHard's raw dataset: one VOI crop per patient and target, centred at the out-of-fold peak.

    A crop holds the CT, all heat maps and every small & hard organ inside it. Where the peak
    misses the organ, the crop is centred at the true centre with jitter; the facts file counts these.
    """
    dataset_json = read_json(raw_folder() / cascade.source / "dataset.json")
    cases = training_cases(cascade.source, dataset_json)
    undrawn, targets = undrawn_organs(cascade), target_labels(cascade)
    extents = np.stack(
        [_extents(drawn_labels(label, cascade, undrawn.get(case, ())), targets) for case, (_, label) in cases.items()]
    )
    unseen = [name for name, rows in zip(targets, extents.swapaxes(0, 1), strict=True) if np.isnan(rows).all()]
    if unseen:
        raise InputError(f"{cascade.source}: no case has {', '.join(unseen)}; leave the organs out of the profile")
    sizes = dict(zip(targets, voi_size_mm(extents), strict=True))

    ending, facts = dataset_json["file_ending"], {name: [] for name in targets}
    facts_path = cascade.channels("detection", plans) / TARGET_FACTS
    facts_path.unlink(missing_ok=True)  # written last: it says that the crops are complete
    with new_staging(cascade.raw("small_hard")) as staging:
        for index, (case, (image, label)) in enumerate(sorted(cases.items()), 1):
            progress(f"VOIs [{index}/{len(cases)}] {case}")
            frame = drawn_labels(label, cascade, undrawn.get(case, ()))
            for target, fact in _write_case_crops(cascade, plans, staging, case, image, frame, sizes, ending).items():
                facts[target].append(fact)
        crops = [path.name.removesuffix(ending) for path in (staging / "labelsTr").iterdir()]
        write_json(
            staging / "dataset.json", branch_dataset_json(cascade, "small_hard", list(targets), len(crops), ending)
        )
        publish(staging, cascade.raw("small_hard"))
    splits = [
        {side: sorted(c for c in crops if c.rpartition("__")[0] in patients) for side, patients in split.items()}
        for split in cascade.splits("detection")
    ]
    write_json(cascade.preprocessed("small_hard") / "splits_final.json", splits)
    open_crops = {crop: undrawn[source_case(crop)] for crop in sorted(crops) if source_case(crop) in undrawn}
    write_json(cascade.preprocessed("small_hard") / UNANNOTATED, open_crops)
    summary = {name: _summary(rows, sizes[name]) for name, rows in facts.items()}
    write_json(facts_path, summary)
    for name, row in summary.items():
        progress(
            f"{name}: out-of-fold centre error {row['mean_error_mm']:.1f} mm on average, {row['missed']} of "
            f"{row['cases']} peaks missed, VOI {' x '.join(f'{mm:.0f}' for mm in row['size_mm'])} mm"
        )


def voi_input(ct_hu: np.ndarray, heatmaps: np.ndarray | torch.Tensor, grid: Grid, box: Box) -> np.ndarray:
    """Channels of a VOI: CT crop in HU (air outside the image) and heat-map crops.

    Args:
        ct_hu: (1, Z, Y, X) on the image grid.
        heatmaps: (T, z, y, x) on the detection network's grid.
        grid: Where that grid lies.
        box: VOI in image voxels.

    Returns:
        (1 + T, box) float32.
    """
    return np.concatenate((crop_box(ct_hu, box, AIR_HU), sample_on_box(heatmaps, grid, box))).astype(np.float32)


def guidance_record(cascade: Cascade, branch: str, plans: str) -> dict[str, Any]:
    """What a branch's out-of-fold output depends on: split, models, plans, preprocessed cases.

    Raises:
        MissingArtifactError: If a fold is missing, or was trained on another split or spacing.
    """
    cascade.require_folds(branch, plans)
    splits = cascade.splits(branch)
    model = cascade.model(branch, plans)
    trained = read_json(model / "plans.json")["configurations"][CONFIGURATION]
    planned = read_json(cascade.plans(branch, plans))["configurations"][CONFIGURATION]
    if trained["spacing"] != planned["spacing"]:
        raise MissingArtifactError(
            f"{model}: trained at {trained['spacing']} mm, its cases are now preprocessed at {planned['spacing']} mm; "
            "rerun soars-plan with the former --spacing, or retrain the folds"
        )
    cascade.require_same_split(branch, plans)
    return {
        "branch": branch,
        "plans": json_hash(read_json(model / "plans.json")),
        "split_sha256": json_hash(splits),
        "models": [file_hash(model / f"fold_{fold}" / CHECKPOINT) for fold in range(len(splits))],
        "cases": json_hash(read_json(preprocessing_record(cascade, branch, plans))),
        "provenance": provenance(),
    }


def _is_finished(folder: Path, case: str) -> bool:
    try:
        return read_channels(folder, case).ndim == 4
    except MissingArtifactError:
        return False


def _write_raw_channels(cascade: Cascade, branch: str, plans: str, case: str, ending: str) -> list[str]:
    files = deepcopy(read_json(cascade.raw("anchor") / "dataset.json"))["dataset"][case]
    image = sitk.ReadImage(_expand(files["images"][0]))
    channels = read_channels(cascade.channels("anchor", plans), case).astype(np.float32)
    _, _, properties = load_preprocessed(cascade.data("anchor", plans), case)
    grid = Grid.from_properties(properties, channels.shape[1:])
    full = tuple((0, size) for size in grid.image_shape)
    paths = []
    for index, values in enumerate(sample_on_box(channels, grid, full), 1):
        name = f"{case}_{index:04d}{ending}"
        with replacing(cascade.raw(branch) / "imagesTr" / name) as temporary:
            sitk.WriteImage(from_network_frame(values, image), str(temporary), True)
        paths.append(f"$nnUNet_raw/{cascade.datasets[branch]}/imagesTr/{name}")
    return paths


def _expand(path: str) -> str:
    return path.replace("$nnUNet_raw", str(raw_folder()))


def _extents(frame: tuple[np.ndarray, dict[str, Any]], targets: dict[str, tuple[int, ...]]) -> np.ndarray:
    return target_extents_mm(frame[0], list(targets.values()), frame[1]["spacing"])


def _write_case_crops(
    cascade: Cascade,
    plans: str,
    staging: Path,
    case: str,
    image: Path,
    frame: tuple[np.ndarray, dict[str, Any]],
    sizes: dict[str, np.ndarray],
    ending: str,
) -> dict[str, dict[str, Any]]:
    """Write one patient's crops; returns peak height, centre error and miss by target present in the case."""
    ct_hu, properties = to_network_frame(read_ct(image))
    labels, _ = frame
    spacing = np.asarray(properties["spacing"])
    heatmaps = read_channels(cascade.channels("detection", plans), case).astype(np.float32)
    _, _, preprocessed = load_preprocessed(cascade.data("detection", plans), case)
    grid = Grid.from_properties(preprocessed, heatmaps.shape[1:])
    peaks, heights = heatmap_peaks(heatmaps)
    targets = target_labels(cascade)
    centers = organ_centers_mm(labels, list(targets.values()), spacing) / spacing
    lookup = np.zeros(int(labels.max()) + 1, np.uint8)
    for value, (name, _) in enumerate(branch_labels(cascade, "small_hard"), 1):
        if cascade.labels[name] < len(lookup):
            lookup[cascade.labels[name]] = value
    random = np.random.default_rng(int(json_hash(case)[:8], 16))
    facts: dict[str, dict[str, Any]] = {}
    for row, (target, members) in enumerate(targets.items()):
        if np.isnan(centers[row]).any():
            continue
        peak = grid.to_image(peaks[row])
        box = voi_box(peak, sizes[target], spacing)
        organ = np.isin(labels, members)
        missed = crop_box(organ, box, False).sum() < MIN_ORGAN_FRACTION * organ.sum()
        error_mm = float(np.linalg.norm((peak - centers[row]) * spacing))
        facts[target] = {"height": float(heights[row]), "error_mm": error_mm, "missed": bool(missed)}
        if missed:
            box = voi_box(centers[row] + random.normal(0, JITTER_MM, 3) / spacing, sizes[target], spacing)
        channels = [*voi_input(ct_hu, heatmaps, grid, box)]
        cropped = crop_box(lookup[labels], box, 0)
        _write_crop(staging, crop_case(case, target), channels, cropped, properties, box, ending)
    return facts


def _write_crop(
    staging: Path,
    name: str,
    channels: list[np.ndarray],
    labels: np.ndarray,
    properties: dict[str, Any],
    box: Box,
    ending: str,
) -> None:
    stuff = properties["sitk_stuff"]
    direction = np.reshape(stuff["direction"], (3, 3))
    start = np.array([lo for lo, _ in box][::-1]) * np.asarray(stuff["spacing"])
    origin = (np.asarray(stuff["origin"]) + direction @ start).tolist()
    files = {f"imagesTr/{name}_{i:04d}{ending}": array for i, array in enumerate(channels)}
    files[f"imagesTr/{name}_0000{ending}"] = np.clip(np.rint(channels[0]), -32768, 32767).astype(np.int16)
    for path, array in {**files, f"labelsTr/{name}{ending}": labels}.items():
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(stuff["spacing"])
        image.SetDirection(stuff["direction"])
        image.SetOrigin(origin)
        (staging / path).parent.mkdir(exist_ok=True)
        sitk.WriteImage(image, str(staging / path), True)


def _summary(rows: list[dict[str, Any]], size_mm: np.ndarray) -> dict[str, Any]:
    heights = [row["height"] for row in rows]
    return {
        "size_mm": [float(mm) for mm in size_mm],
        "low_confidence_below": float(np.percentile(heights, LOW_CONFIDENCE_PERCENTILE)),
        "mean_error_mm": float(np.mean([row["error_mm"] for row in rows])),
        "missed": sum(row["missed"] for row in rows),
        "cases": len(rows),
    }
