"""nnU-Net's folders, and the folder in which it finds the trainers."""

from __future__ import annotations

import os
from pathlib import Path

import soars_nnunet
from soars_nnunet.errors import MissingArtifactError


def environment_folder(variable: str) -> Path:
    """Path in one of nnU-Net's environment variables.

    Raises:
        MissingArtifactError: If it is not set.
    """
    value = os.environ.get(variable)
    if not value:
        raise MissingArtifactError(
            f"{variable} is not set: expected nnUNet_raw, nnUNet_preprocessed and nnUNet_results to name folders; "
            f"run for example: export {variable}=/data/{variable}"
        )
    return Path(value)


def raw_folder() -> Path:
    """nnU-Net's folder of raw datasets."""
    return environment_folder("nnUNet_raw")


def preprocessed_folder() -> Path:
    """nnU-Net's folder of preprocessed datasets."""
    return environment_folder("nnUNet_preprocessed")


def results_folder() -> Path:
    """nnU-Net's folder of trained models."""
    return environment_folder("nnUNet_results")


def trainer_folder() -> str:
    """Folder that nnU-Net's ``nnUNet_extTrainer`` must name: re-exports of the trainers and nothing else."""
    return str(Path(soars_nnunet.__file__).parent / "nnunet_ext")
