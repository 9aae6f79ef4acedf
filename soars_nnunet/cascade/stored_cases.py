"""Preprocessed cases and guidance channels as they lie on disk."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import blosc2
import numpy as np

from soars_nnunet.cascade.plain_pickles import ENDING, REMEDY, read_plain_pickle
from soars_nnunet.cascade.record import PREPROCESSING_RECORD, Cascade
from soars_nnunet.cascade.storage import replacing
from soars_nnunet.errors import MissingArtifactError

CHANNELS_ENDING = ".b2nd"

VALUES_HASH = "sha256"
"""In a file of channels: hash of its values."""

SHAPE = "shape"
"""In a file of channels: size of every axis, by which a damaged header is known before it is believed."""

UNREADABLE = (
    FileNotFoundError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    MemoryError,
    OverflowError,
)
"""What blosc2 makes of a damaged file."""


def write_channels(folder: Path, case: str, channels: np.ndarray) -> None:
    """Store a case's guidance channels (C, Z, Y, X) in half precision with their hash, atomically.

    Raises:
        OSError: If they do not read back as they were written.
    """
    stored = np.ascontiguousarray(channels, dtype=np.float16)
    path = folder / f"{case}{CHANNELS_ENDING}"

    def check(written: Path) -> None:
        try:
            same = np.array_equal(_read(written), stored, equal_nan=True)
        except UNREADABLE:
            same = False
        if not same:
            raise OSError(
                f"{path}: expected to read back what was written, got other values; is the disk full? Free "
                "space and rerun"
            )

    with replacing(path, check) as temporary:
        try:
            array = blosc2.asarray(stored, urlpath=str(temporary), mode="w")
            array.schunk.vlmeta[SHAPE] = list(stored.shape)
            array.schunk.vlmeta[VALUES_HASH] = _hash(stored)
        except RuntimeError as error:
            raise OSError(f"{path}: cannot be written ({error}); is the disk full? Free space and rerun") from error


def read_channels(folder: Path, case: str) -> np.ndarray:
    """Stored guidance channels of a case, float16 (C, Z, Y, X).

    Raises:
        MissingArtifactError: If they are absent, unreadable, or not the values that were written.
    """
    path = folder / f"{case}{CHANNELS_ENDING}"
    try:
        return _read(path)
    except UNREADABLE as error:
        raise MissingArtifactError(f"channels of {case}: expected a readable {path}; run soars-channels") from error


def _read(path: Path) -> np.ndarray:
    """Values of a file.

    Raises:
        ValueError: If they are not those that were written; blosc2's own errors if it cannot be read.
    """
    array = blosc2.open(str(path), mode="r")
    written = array.schunk.vlmeta
    if SHAPE in written and tuple(written[SHAPE]) != tuple(array.shape):
        raise ValueError("another shape than was written")
    values = array[:]
    if VALUES_HASH in written and written[VALUES_HASH] != _hash(values):  # files of older versions have none
        raise ValueError("other values than were written")
    return values


def _hash(values: np.ndarray) -> str:
    return hashlib.sha256(values.tobytes()).hexdigest()


def preprocessing_record(cascade: Cascade, branch: str, plans_name: str) -> Path:
    """JSON that says what a branch's preprocessed cases were made from.

    It lies among them: nnU-Net's own preprocessing under the same plans name deletes it with the folder.
    """
    return cascade.data(branch, plans_name) / PREPROCESSING_RECORD


def load_preprocessed(folder: Path, case: str) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """A preprocessed case: data (C, Z, Y, X), segmentation (1, Z, Y, X) and nnU-Net's properties.

    Raises:
        MissingArtifactError: If a file of it is absent or unreadable, or its properties are no plain data.
    """
    properties = read_plain_pickle(folder / f"{case}{ENDING}")
    arrays = [_read_array(folder / f"{case}{part}{CHANNELS_ENDING}") for part in ("", "_seg")]
    return arrays[0], arrays[1], properties


def _read_array(path: Path) -> np.ndarray:
    try:
        return blosc2.open(str(path), mode="r")[:]
    except (FileNotFoundError, RuntimeError, ValueError) as error:
        raise MissingArtifactError(f"expected a readable {path}; {REMEDY}") from error
