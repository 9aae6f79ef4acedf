"""Label files of predictions and references: which belong together, their label lists, and reading a pair.

Axes: arrays are (Z, Y, X).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet.cascade.storage import read_user_json
from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.case_volumes import label_volume
from soars_nnunet.images.entry import name_fault, require_file, shown
from soars_nnunet.images.label_map import check_same_grid, read_label_map

logger = logging.getLogger(__name__)

ENDINGS = (".nii.gz", ".nrrd", ".mha", ".nii")
"""Endings of label files; a case's name is the file name without it."""

LABEL_LIST = "dataset.json"
"""Name of nnU-Net's file with the label value by name."""

LABELS_PARTS = ("labelsTr", "labelsTs")
"""Folders of a raw nnU-Net dataset that hold label files."""


@dataclass(frozen=True)
class CaseFiles:
    """Label files of one case.

    Attributes:
        case: Name of the case.
        prediction: Predicted labels.
        reference: Reference labels.
    """

    case: str
    prediction: Path
    reference: Path


@dataclass(frozen=True)
class PairedFiles:
    """Predictions and references that belong together, and those without a partner.

    Attributes:
        cases: A pair a case, by name.
        without_reference: Cases that only the predictions have.
        without_prediction: Cases that only the references have.
        unusable: Why a file cannot be read that is called as a label file, a sentence each; its case is left out.
    """

    cases: tuple[CaseFiles, ...]
    without_reference: tuple[str, ...] = ()
    without_prediction: tuple[str, ...] = ()
    unusable: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelList:
    """What the values of label files mean.

    Attributes:
        labels: Value by name.
        profile: Name of the profile that the file states, as those of predictions do; None where it states none.
        file: That says so.
    """

    labels: dict[str, int]
    profile: str | None
    file: Path


@dataclass(frozen=True)
class ReadPair:
    """Label volumes of one case, on one grid.

    Attributes:
        predicted: (Z, Y, X), uint8 or uint16.
        reference: (Z, Y, X), uint8 or uint16.
        header: Image of one voxel with the reference's geometry.
    """

    predicted: np.ndarray
    reference: np.ndarray
    header: sitk.Image


def pair_files(prediction: Path, reference: Path, allow_missing: bool = False) -> PairedFiles:
    """Pair label files of the same name; two single files belong together whatever their names.

    Args:
        prediction: Folder, or one file (then only its case is evaluated).
        reference: Folder, or one file.
        allow_missing: Accept references without prediction.

    Raises:
        InputError: If a path does not exist, a case has two files, there is no pair, or a prediction is missing.
    """
    predicted, odd_predictions = _files_by_case(prediction, "prediction")
    references, odd_references = _files_by_case(reference, "reference")
    unusable = {**odd_references, **odd_predictions}
    if prediction.is_file() and reference.is_file():
        (case,) = predicted
        (file,) = references.values()
        return PairedFiles((CaseFiles(case, predicted[case], file),))
    pairs = []
    extra = []
    for case, file in predicted.items():
        if case in unusable:
            continue
        if case in references:
            pairs.append(CaseFiles(case, file, references[case]))
        else:
            extra.append(case)
    if not pairs and unusable:
        raise InputError("; ".join(unusable.values()))
    if not pairs:
        raise InputError(
            f"expected predictions and references of the same name, got {len(predicted)} in {prediction} (such as "
            f"'{next(iter(predicted))}') and {len(references)} in {reference} (such as '{next(iter(references))}'); "
            "rename the files"
        )
    missing = []
    for case in references:
        if case not in predicted and case not in unusable and prediction.is_dir():
            missing.append(case)
    if missing and not allow_missing:
        raise InputError(
            f"expected a prediction for each reference, got none in {prediction} for {', '.join(missing)}; "
            "predict them, or allow missing predictions"
        )
    return PairedFiles(tuple(pairs), tuple(extra), tuple(missing), tuple(unusable.values()))


def case_name(path: Path) -> str | None:
    """Name of a label file's case; None for other files."""
    for ending in ENDINGS:
        if path.name.endswith(ending):
            return path.name.removesuffix(ending)
    return None


def read_label_list(folder: Path, explicit: Path | None, what: str, look_above: bool) -> dict[str, int] | None:
    """Label value by name for a folder of label files; see ``find_label_list``, whose finding is logged here."""
    found = find_label_list(folder, explicit, what, look_above)
    if found is None:
        logger.warning("warning: %s: no %s beside %s; assuming the profile's own labels", what, LABEL_LIST, folder)
        return None
    logger.info("%s: label names from %s", what, found.file)
    return found.labels


def find_label_list(folder: Path, explicit: Path | None, what: str, look_above: bool) -> LabelList | None:
    """What the values of a folder of label files mean.

    Args:
        folder: Folder or file of the labels.
        explicit: File to read; None looks for ``dataset.json`` in the folder.
        what: Name in the messages.
        look_above: Look in the folder's parent too, as in a raw nnU-Net dataset.

    Returns:
        The list; None if there is no such file.

    Raises:
        InputError: If the file is something else.
    """
    file = explicit or _label_list_near(folder, look_above)
    if file is None:
        return None
    data = read_user_json(file, f"{what} labels:")
    labels = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(labels, dict) or not _are_values(list(labels.values())):
        raise InputError(
            f'{what} labels: expected {{"labels": {{"background": 0, name: integer, ...}}}}, got something else in '
            f"{file}; regions and nnU-Net v1's inverted lists are not supported, write a file and name it"
        )
    profile = data.get("profile")
    return LabelList(labels, profile if isinstance(profile, str) else None, file)


def is_labels_part(path: Path) -> bool:
    """Whether labels lie in the ``labelsTr`` or ``labelsTs`` of a raw dataset, whose dataset.json lies above."""
    folder = (path.parent if path.is_file() else path).resolve()
    return folder.name in LABELS_PARTS


def read_pair(files: CaseFiles) -> ReadPair:
    """Read the label volumes of one case.

    Raises:
        InputError: If a file cannot be read or holds no labels, or the two lie on different grids.
    """
    image = read_label_map(files.prediction)
    check_same_grid(image, files.reference, str(files.prediction))
    predicted = _copied_labels(image, files.prediction)
    del image  # 32 bit, so a third of a gigabyte at 512 x 512 x 360
    image = read_label_map(files.reference)
    return ReadPair(predicted, _copied_labels(image, files.reference), image[:1, :1, :1])


def _copied_labels(image: sitk.Image, path: Path) -> np.ndarray:
    return label_volume(sitk.GetArrayViewFromImage(image), str(path)).copy()


def _files_by_case(path: Path, what: str) -> tuple[dict[str, Path], dict[str, str]]:
    """Label files by case, and by case, as it can be shown, why others cannot be used."""
    if not path.exists() and not path.is_symlink():
        raise InputError(
            f"{what}: expected a folder or a label file, got {shown(path)}, which does not exist; check the path"
        )
    cases: dict[str, Path] = {}
    unusable: dict[str, str] = {}
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        case = case_name(file)
        if not case or file.name.startswith("."):
            continue
        if fault := _entry_fault(case, file, what):
            unusable[shown(case)] = fault
        elif case in cases:
            files = f"{cases[case].name} and {file.name}"
            unusable[case] = f"{what}: expected one file per case, got {files}; remove one"
        else:
            cases[case] = file
    if unusable and (not cases or not path.is_dir()):
        raise InputError("; ".join(unusable.values()))
    if not cases:
        raise InputError(
            f"{what}: expected label files ({', '.join(ENDINGS)}), got none in {shown(path)}; check the path"
        )
    return cases, unusable


def _entry_fault(case: str, file: Path, what: str) -> str | None:
    """Why an entry that is called as a label file cannot be used; None if nothing is known against it."""
    if fault := name_fault(case):
        return f"{what}: {shown(file)}: {fault}"
    try:
        require_file(file, "a label file")
    except InputError as error:
        return f"{what}: {error}"
    return None


def _label_list_near(path: Path, look_above: bool) -> Path | None:
    folder = (path.parent if path.is_file() else path).resolve()
    folders = [folder, folder.parent] if look_above else [folder]
    for candidate in folders:
        file = candidate / LABEL_LIST
        if file.is_file():
            return file
    return None


def _are_values(values: Sequence[Any]) -> bool:
    return all(type(value) is int and value >= 0 for value in values)
