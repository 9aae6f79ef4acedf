"""Phantoms as a raw nnU-Net dataset."""

from __future__ import annotations

import json
import os
from pathlib import Path

from soars_nnunet.phantom.phantom import (
    SEED_STRIDE,
    _case_files,
    _refuse_foreign_cases,
    _validate_count,
    _validate_grid,
    _write_image,
    logger,
    make_phantom,
)
from soars_nnunet.profile import load_profile
from soars_nnunet.progress import Progress


def write_phantom_dataset(
    dataset_folder: Path,
    num_training: int,
    num_test: int,
    shape: tuple[int, int, int],
    spacing_mm: tuple[float, float, float],
    seed: int = 0,
    progress: Progress | None = None,
) -> None:
    """Write a raw nnU-Net v2 dataset of synthetic patients with the 42 organs of ``hn42``.

    Training patients have even seeds and test patients odd ones, so that they never coincide,
    not even between datasets. Each file is written under another name and then renamed;
    dataset.json comes last.

    Args:
        dataset_folder: ``$nnUNet_raw/DatasetXXX_Name``; created if it does not exist.
        num_training: Cases in imagesTr and labelsTr, at least 1.
        num_test: Cases in imagesTs and labelsTs, 0 or more.
        shape: Voxels (Z, Y, X) of each case.
        spacing_mm: Voxel size (Z, Y, X), mm.
        seed: Dataset; 0 or more. Different seeds have no patient in common.
        progress: Called with one line of text for each case.

    Raises:
        ValueError: On bad arguments, or a folder that holds other cases (nnU-Net would mix them).
    """
    shape, spacing_mm = _validate_grid(shape, spacing_mm)
    _validate_count("num_training", num_training, minimum=1)
    _validate_count("num_test", num_test, minimum=0)
    _validate_count("seed", seed, minimum=0)
    folder = Path(dataset_folder)
    total = num_training + num_test
    files = [_case_files(folder, index, index >= num_training) for index in range(total)]
    _refuse_foreign_cases(folder, {path for pair in files for path in pair})
    for index, (image_file, label_file) in enumerate(files):
        patient = 2 * (seed * SEED_STRIDE + index) + (index >= num_training)
        phantom = make_phantom(patient, shape, spacing_mm)
        _write_image(phantom.ct_image(), folder, image_file)
        _write_image(phantom.label_image(), folder, label_file)
        (progress or logger.info)(f"synthetic case {index + 1} of {total}: {label_file.relative_to(folder)}")
    description = {
        "name": folder.name,
        "description": "Synthetic head-and-neck CTs with 42 organs; not patients",
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **{organ.name: organ.label for organ in load_profile("hn42").organs}},
        "numTraining": num_training,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIOWithReorient",
    }
    partial = folder / ".partial_dataset.json"
    partial.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, folder / "dataset.json")
