"""Phantoms as a raw nnU-Net dataset."""

from __future__ import annotations

import logging
from itertools import chain
from pathlib import Path

from soars_nnunet.cascade.image_file import write_image
from soars_nnunet.cascade.storage import write_json
from soars_nnunet.cascade.temporary import OWNED, remove_abandoned
from soars_nnunet.phantom.phantom import make_phantom, validate_count, validate_grid
from soars_nnunet.profile import load_profile
from soars_nnunet.progress import Progress

logger = logging.getLogger(__name__)

SEED_STRIDE = 100_000
"""Patients' seeds set aside for each dataset seed: more than anyone writes."""


def write_phantom_dataset(
    dataset_folder: Path,
    *,
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
    shape, spacing_mm = validate_grid(shape, spacing_mm)
    validate_count("num_training", num_training, minimum=1)
    validate_count("num_test", num_test, minimum=0)
    validate_count("seed", seed, minimum=0)
    folder = Path(dataset_folder)
    tell = progress or logger.info
    total = num_training + num_test
    files = [_case_files(folder, index, test=index >= num_training) for index in range(total)]
    _refuse_foreign_cases(folder, set(chain.from_iterable(files)))
    for index, (image_file, label_file) in enumerate(files):
        is_test = index >= num_training
        patient = 2 * (seed * SEED_STRIDE + index) + is_test
        phantom = make_phantom(patient, shape, spacing_mm)
        write_image(phantom.ct_image(), image_file)
        write_image(phantom.label_image(), label_file)
        tell(f"synthetic case {index + 1} of {total}: {label_file.relative_to(folder)}")
    _write_dataset_json(folder, num_training)


def _write_dataset_json(folder: Path, num_training: int) -> None:
    labels = {"background": 0}
    for organ in load_profile("hn42").organs:
        labels[organ.name] = organ.label
    description = {
        "name": folder.name,
        "description": "Synthetic head-and-neck CTs with 42 organs; not patients",
        "channel_names": {"0": "CT"},
        "labels": labels,
        "numTraining": num_training,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "SimpleITKIOWithReorient",
    }
    write_json(folder / "dataset.json", description)


def _case_files(folder: Path, index: int, test: bool) -> tuple[Path, Path]:
    suffix = "Ts" if test else "Tr"
    case = f"phantom_{index:03d}"
    return folder / f"images{suffix}" / f"{case}_0000.nii.gz", folder / f"labels{suffix}" / f"{case}.nii.gz"


def _refuse_foreign_cases(folder: Path, expected: set[Path]) -> None:
    """Refuse a folder with other cases; what a killed run left under temporary names is removed."""
    foreign = []
    for subfolder in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
        if (folder / subfolder).is_dir():
            remove_abandoned(folder / subfolder)
        for path in (folder / subfolder).glob("*"):
            if OWNED.match(path.name):
                continue  # of a living run
            if path.name.startswith(".phantom_"):
                path.unlink()  # of an older version
            elif path not in expected:
                foreign.append(path.name)
    if foreign:
        raise ValueError(
            f"dataset_folder: expected an empty folder or the same cases in {folder}, got {len(foreign)} other "
            f"files, e.g. {min(foreign)}; choose another folder or remove them"
        )
