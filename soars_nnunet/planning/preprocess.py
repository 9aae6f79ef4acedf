"""nnU-Net's preprocessing for every branch, with guidance channels put straight onto its grid."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager
from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

from soars_nnunet.cascade.ct_hash import ct_hash, has_voxels_elsewhere
from soars_nnunet.cascade.plans_file import CONFIGURATION, PlansFile, low_pass_ratio_of
from soars_nnunet.cascade.record import PREPROCESSING_RECORD, Cascade
from soars_nnunet.cascade.storage import (
    file_hash,
    json_hash,
    new_staging,
    publish,
    read_json,
    remove_leftovers,
    replacing,
    write_json,
)
from soars_nnunet.cascade.stored_cases import load_preprocessed, preprocessing_record, read_channels
from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.geometry.low_pass import low_pass_sigmas
from soars_nnunet.planning.case_geometry import read_geometry
from soars_nnunet.planning.low_pass import LowPassPreprocessor

CONTENTS = "contents"
"""In the record: SHA-256 of every preprocessed file, by name."""


class GuidedPreprocessor(LowPassPreprocessor):
    """nnU-Net's preprocessor for CT + guidance: the CT alone is cropped and resampled, channels are appended.

    So every branch of a patient has one crop, and the channels that a network trains on are the
    very numbers that another network computed on this grid.
    """

    def __init__(self, channels_folder: Path, file_ending: str) -> None:
        super().__init__(verbose=False)
        self.channels_folder = channels_folder
        self.file_ending = file_ending

    def run_case(
        self,
        image_files: list[str],
        seg_file: str | None,
        plans_manager: PlansManager,
        configuration_manager: ConfigurationManager,
        dataset_json: dict | str,
    ) -> tuple[np.ndarray, np.ndarray, dict]:
        """Preprocess the first image (CT) and its labels; append the case's stored channels.

        Returns:
            Data (1 + C, Z, Y, X), segmentation (1, Z, Y, X), nnU-Net's properties.

        Raises:
            ValueError: If the stored channels have another grid.
        """
        data, seg, properties = super().run_case(
            image_files[:1], seg_file, plans_manager, configuration_manager, dataset_json
        )
        case = Path(seg_file or image_files[0]).name.removesuffix(self.file_ending)
        channels = read_channels(self.channels_folder, case)
        if channels.shape[1:] != data.shape[1:]:
            raise MissingArtifactError(
                f"{case}: stored channels have the grid {channels.shape[1:]}, preprocessing gives {data.shape[1:]}; "
                "rerun soars-plan, the anchor training and soars-channels with one spacing"
            )
        return np.concatenate((data, channels.astype(np.float32))), seg, properties


def preprocess(cascade: Cascade, branch: str, plans_name: str, channels: Path | None, *, num_processes: int) -> str:
    """Run nnU-Net's preprocessing of a branch and copy the ground truth for validation.

    Variants that differ in training alone share the files by hard links.

    Args:
        cascade: The stratified dataset.
        branch: Branch key.
        plans_name: Plans to follow.
        channels: Folder of guidance channels to append, or None for the images as they are.
        num_processes: Worker processes.

    Returns:
        What was done, in words: preprocessed, shared with other plans, or kept.
    """
    folder = cascade.preprocessed(branch)
    data = cascade.data(branch, plans_name)
    remove_leftovers(data)
    dataset_json = read_json(folder / "dataset.json")
    # read again: nnU-Net's function changes what it is given
    cases = get_filenames_of_train_images_and_targets(str(cascade.raw(branch)), read_json(folder / "dataset.json"))
    record = _record(cascade.plans(branch, plans_name), dataset_json, channels, cases)
    if _made_from(data, record, cases):
        return "preprocessed already, verified"
    twin = _find_twin(data, record, cases)
    if twin:
        with new_staging(data) as staging:
            shutil.copytree(twin, staging, copy_function=_link, dirs_exist_ok=True)
            publish(staging, data)
        return f"preprocessed already, shares {twin.name}"
    record_path = preprocessing_record(cascade, branch, plans_name)
    record_path.unlink(missing_ok=True)
    preprocessor = LowPassPreprocessor(verbose=False)
    if channels:
        preprocessor = GuidedPreprocessor(channels, dataset_json["file_ending"])
    preprocessor.run(cascade.datasets[branch], CONFIGURATION, plans_name, num_processes)
    _copy_truth(folder / "gt_segmentations", cases, dataset_json["file_ending"])
    if not _complete(data, cases):
        raise OSError(
            f"{data}: expected to read back what was written, got cut files; is the disk full? Free space, rerun"
        )
    write_json(record_path, {**record, CONTENTS: _hashes(data)})
    return "preprocessed"


def _find_twin(data: Path, record: dict[str, Any], cases: dict) -> Path | None:
    """Folder of other plans whose preprocessed cases are the very same; None if there is none."""
    for folder in sorted(data.parent.glob(f"*_{CONFIGURATION}")):
        if folder != data and _made_from(folder, record, cases):
            return folder
    return None


def _copy_truth(folder: Path, cases: dict, ending: str) -> None:
    """Copy the label files, which nnU-Net validates against."""
    folder.mkdir(exist_ok=True)
    for case, files in cases.items():
        with replacing(folder / f"{case}{ending}") as temporary:
            shutil.copyfile(files["label"], temporary)


def _record(plans: Path, dataset_json: dict, channels: Path | None, cases: dict) -> dict[str, Any]:
    """What a preprocessed folder depends on: grid and intensities of the plans, files (size and time), channels.

    A low pass only where a CT gets one, so that others keep what an older version made of them.
    """
    file = PlansFile.read(plans)
    shaping = {key: file.configuration[key] for key in ("spacing", "normalization_schemes", "patch_size")}
    shaping["intensities"] = file.contents["foreground_intensity_properties_per_channel"]
    ratio = low_pass_ratio_of(file.configuration)
    if _any_low_pass(file.spacing_mm, ratio, cases):
        shaping["low_pass_ratio"] = ratio
    stamps = {}
    for case, files in cases.items():
        stamps[case] = [_stamp(path) for path in [*files["images"], files["label"]]]
    return {
        "plans": json_hash(shaping),
        "labels": json_hash(dataset_json["labels"]),
        "files": json_hash(stamps),
        "channels": json_hash(read_json(channels / "provenance.json")) if channels else None,
    }


def _any_low_pass(spacing_mm: list[float], ratio: float | None, cases: dict) -> bool:
    """Whether the CT of a case gets a low pass on the way to the spacing (Z, Y, X)."""
    if ratio is None:
        return False
    for files in cases.values():
        own_mm = read_geometry(files["images"][0]).spacing_mm
        if any(low_pass_sigmas(own_mm, spacing_mm, ratio)):
            return True
    return False


def _made_from(data: Path, record: dict[str, Any], cases: dict) -> bool:
    """Whether a folder was made from this, and its files are those that were written then."""
    path = data / PREPROCESSING_RECORD
    if not path.is_file():
        return False
    found = dict(read_json(path))
    written = found.pop(CONTENTS, None)
    if found != record:
        return False
    if written is None:  # of an older version
        return _complete(data, cases)
    return set(cases) <= {Path(name).stem for name in written} and _hashes(data) == written


def _hashes(data: Path) -> dict[str, str]:
    """SHA-256 of the preprocessed files by name; the record itself lies deeper."""
    return {path.name: file_hash(path) for path in sorted(data.iterdir()) if path.is_file()}


def _link(source: str, target: str) -> None:
    """Hard link; a copy where the file system has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _stamp(path: str) -> list[str | int]:
    """Name, size and time of a file; of a header whose voxels lie in another file, a hash of both."""
    stat = Path(path).stat()
    stamp: list[str | int] = [path, stat.st_size, stat.st_mtime_ns]
    if has_voxels_elsewhere(Path(path)):
        stamp.append(ct_hash(Path(path)))
    return stamp


def _complete(folder: Path, cases: dict) -> bool:
    """Whether every case can be read."""
    for case in cases:
        try:
            data, _, _ = load_preprocessed(folder, case)
        except (FileNotFoundError, RuntimeError, ValueError, EOFError):
            return False
        if data.ndim != 4:
            return False
    return True
