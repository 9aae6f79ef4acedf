"""Files of a branch's raw dataset: its label maps, and the dataset.json that refers to the source's CTs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet.anatomy.order import require_order
from soars_nnunet.cascade.classes import branch_dataset_json, branch_labels, ignore_class
from soars_nnunet.cascade.dataset_listing import CaseFiles
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.image_file import write_image
from soars_nnunet.cascade.record import DERIVED_LABELS, Cascade
from soars_nnunet.cascade.storage import file_hash, read_json, write_json
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.ct_check import check_ct
from soars_nnunet.images.header import require_for_nnunet
from soars_nnunet.images.label_map import check_same_grid, count_labels, labels_beside, read_label_map
from soars_nnunet.images.organ_measures import measure_organs
from soars_nnunet.images.plausible import check_plausible
from soars_nnunet.images.sides import check_sides
from soars_nnunet.stratification.derive import DerivedCase, DerivedFacts, derive_case


@dataclass(frozen=True)
class WrittenLabels:
    """What a case's label map holds.

    Attributes:
        empty: Organs without a voxel.
        partly: Organs that touch voxels labelled ignore, and in a case with such voxels those of ``empty``.
        has_ignored: Whether there are voxels labelled ignore.
        derived: What was derived, and what could not be.
    """

    empty: list[str]
    partly: list[str] = field(default_factory=list)
    has_ignored: bool = False
    derived: DerivedFacts = field(default_factory=DerivedFacts)


def write_branch_labels(
    cascade: Cascade,
    case: str,
    files: CaseFiles,
    folders: Mapping[str, Path],
    *,
    not_annotated: Collection[str],
    named: Collection[int],
    ending: str,
    empty_means_absent: bool = False,
) -> WrittenLabels:
    """Check one case and write its label map for every branch.

    Args:
        cascade: The source's labels.
        case: Its name.
        files: Its CT and label map.
        folders: Dataset folder by branch key; under ``DERIVED_LABELS`` that of maps with derived organs.
        not_annotated: Organs whose classes stay empty, whatever the map holds of them.
        named: Labels that dataset.json lists.
        ending: Of label files.
        empty_means_absent: An organ without a voxel is truly absent.

    Returns:
        What was found.

    Raises:
        InputError: If the label map lies on another grid than the CT or has labels that dataset.json does not list,
            the CT is not usable or cannot be a patient's, nnU-Net would not read a file, sides are swapped, or organs
            lie upside down or back to front.
    """
    for path in files:
        require_for_nnunet(path)
    image = read_label_map(files.labels)
    check_same_grid(image, files.ct, case)
    check_plausible(check_ct(read_ct(files.ct), case), case)
    _require_named(sitk.GetArrayViewFromImage(image), named, files.labels)
    derived = DerivedCase(sitk.GetArrayViewFromImage(image))
    if cascade.derived:
        derived = derive_case(
            image, cascade.derived, cascade.labels, cascade.profile, empty_means_absent=empty_means_absent
        )
    labels = derived.labels
    check_sides(labels, image, cascade.labels, cascade.profile, case=case)
    require_order(measure_organs(labels, image, cascade.labels), case=case)
    highest = max(max(cascade.labels.values()), int(labels.max()))
    written = _written(cascade, labels, derived.facts)
    for key, folder in folders.items():
        if key == DERIVED_LABELS:
            _write(labels.astype(np.min_scalar_type(highest)), image, folder / f"{case}{ending}")
            continue
        # where an organ ends that touches ignored voxels is unknown, and so is its centre
        lacking = {*not_annotated, *written.partly} if key == "detection" else not_annotated
        lookup = _lookup(cascade, key, highest, lacking)
        _write(lookup[labels], image, folder / "labelsTr" / f"{case}{ending}")
    return written


def _require_named(labels: np.ndarray, named: Collection[int], path: Path) -> None:
    """Check that dataset.json lists every label of a map (Z, Y, X)."""
    count = count_labels(labels, int(labels.max()))
    unnamed = sorted(set(count.nonzero()[0].tolist()) - set(named))
    if unnamed:
        listed = ", ".join(f"{value} ({count[value]} voxels)" for value in unnamed)
        raise InputError(
            f"{path}: expected labels that dataset.json lists, got also {listed}; add their names, or correct the map"
        )


def _written(cascade: Cascade, labels: np.ndarray, derived: DerivedFacts) -> WrittenLabels:
    """What labels (Z, Y, X) show of the organs."""
    ignore = cascade.ignore
    count = count_labels(labels, max(*cascade.labels.values(), ignore or 0, int(labels.max())))
    empty = [name for name, value in cascade.labels.items() if count[value] == 0]
    if ignore is None or count[ignore] == 0:
        return WrittenLabels(empty, derived=derived)
    cut = labels_beside(labels, ignore)
    partly = [name for name, value in cascade.labels.items() if value in cut or count[value] == 0]
    return WrittenLabels(empty, partly, True, derived)


def _write(labels: np.ndarray, image: sitk.Image, path: Path) -> None:
    """Write labels (Z, Y, X) on an image's grid."""
    mapped = sitk.GetImageFromArray(labels)
    mapped.CopyInformation(image)
    write_image(mapped, path)


def _lookup(cascade: Cascade, branch: str, highest: int, not_annotated: Collection[str]) -> np.ndarray:
    """(highest + 1,) uint8: a branch's class by source label; 0 also for classes that are not wholly annotated."""
    lookup = np.zeros(highest + 1, np.uint8)
    for value, (_, organs) in enumerate(branch_labels(cascade, branch), 1):
        if not set(organs).isdisjoint(not_annotated):
            continue
        for organ in organs:
            lookup[cascade.labels[organ]] = value
    ignored = ignore_class(cascade, branch)
    if cascade.ignore is not None and ignored is not None and cascade.ignore <= highest:
        lookup[cascade.ignore] = ignored
    return lookup


def write_branch_json(
    cascade: Cascade, branch: str, folder: Path, cases: Mapping[str, CaseFiles], *, ending: str
) -> None:
    """Write the dataset.json of a branch that sees the CTs alone.

    Args:
        cascade: The stratified dataset.
        branch: Key of the branch.
        folder: Where the file is written.
        cases: Files of the source's cases.
        ending: Of label files.
    """
    data = branch_dataset_json(cascade, branch, (), num_cases=len(cases), ending=ending)
    name = cascade.datasets[branch]
    data["dataset"] = {}
    for case, files in sorted(cases.items()):
        label = f"$nnUNet_raw/{name}/labelsTr/{case}{ending}"
        data["dataset"][case] = {"images": [_portable(files.ct)], "label": label}
    write_json(folder / "dataset.json", data)


def is_same_branch(made: Path, present: Path) -> bool:
    """Whether a dataset lies there with the same label maps, classes and CTs; guidance may have joined the CTs.

    Args:
        made: Folder of a branch as it was written now.
        present: Its place.
    """
    try:
        new, old = read_json(made / "dataset.json"), read_json(present / "dataset.json")
        same = new["labels"] == old["labels"] and _cts(new) == _cts(old)
    except (MissingArtifactError, KeyError, IndexError, TypeError, AttributeError):
        return False
    return same and _label_hashes(made) == _label_hashes(present)


def _cts(dataset_json: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """CT and label map by case, as listed."""
    return {case: (files["images"][0], files["label"]) for case, files in dataset_json["dataset"].items()}


def _label_hashes(folder: Path) -> dict[str, str]:
    return {path.name: file_hash(path) for path in (folder / "labelsTr").glob("*") if path.is_file()}


def _portable(path: Path) -> str:
    """Path below ``$nnUNet_raw`` where it lies there (links are not followed), else absolute."""
    try:
        return f"$nnUNet_raw/{path.absolute().relative_to(raw_folder().absolute())}"
    except ValueError:
        return str(path.absolute())
