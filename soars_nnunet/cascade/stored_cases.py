"""Preprocessed cases and guidance channels as they lie on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import blosc2
import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

from soars_nnunet.cascade.record import PREPROCESSING_RECORD, Cascade
from soars_nnunet.cascade.storage import replacing
from soars_nnunet.errors import MissingArtifactError

CHANNELS_ENDING = ".b2nd"


def write_channels(folder: Path, case: str, channels: np.ndarray) -> None:
    """Store a case's guidance channels (C, Z, Y, X) in half precision, atomically."""
    with replacing(folder / f"{case}{CHANNELS_ENDING}") as temporary:
        blosc2.asarray(np.ascontiguousarray(channels, dtype=np.float16), urlpath=str(temporary), mode="w")


def read_channels(folder: Path, case: str) -> np.ndarray:
    """Stored guidance channels of a case, float16 (C, Z, Y, X).

    Raises:
        MissingArtifactError: If they are absent or unreadable.
    """
    path = folder / f"{case}{CHANNELS_ENDING}"
    try:
        return blosc2.open(str(path), mode="r")[:]
    except (FileNotFoundError, RuntimeError, ValueError) as error:
        raise MissingArtifactError(f"channels of {case}: expected a readable {path}; run soars-channels") from error


def preprocessing_record(cascade: Cascade, branch: str, plans_name: str) -> Path:
    """JSON that says what a branch's preprocessed cases were made from.

    It lies among them: nnU-Net's own preprocessing under the same plans name deletes it with the folder.
    """
    return cascade.data(branch, plans_name) / PREPROCESSING_RECORD


def load_preprocessed(folder: Path, case: str) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """A preprocessed case: data (C, Z, Y, X), segmentation (1, Z, Y, X) and nnU-Net's properties."""
    data, seg, _, properties = nnUNetDatasetBlosc2(str(folder), [case]).load_case(case)
    return data[:], seg[:], properties
