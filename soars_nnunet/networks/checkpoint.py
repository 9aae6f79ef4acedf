"""Reading nnU-Net's checkpoints without running code from them."""

from __future__ import annotations

import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from soars_nnunet.errors import MissingArtifactError
from soars_nnunet.schemas.printable import printable

_NUMPY_SCALAR = np.float64(0).__reduce__()[0]
CHECKPOINT_GLOBALS: list[Callable[..., Any] | tuple[Callable[..., Any], str]] = [
    np.dtype,
    (_NUMPY_SCALAR, "numpy.core.multiarray.scalar"),  # as numpy 1 and numpy 2 name it
    (_NUMPY_SCALAR, "numpy._core.multiarray.scalar"),
    type(np.dtype("float64")),
    type(np.dtype("float32")),
    type(np.dtype("int64")),
    type(np.dtype("int32")),
    type(np.dtype("bool")),
]
"""What nnU-Net's log puts into a checkpoint beside tensors; anything else is refused, so loading runs no code."""

UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What PyTorch raises on files of which it makes nothing."""

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.bool)
"""Of weights and counters."""


def load_checkpoint(path: Path) -> dict[str, Any]:
    """An nnU-Net checkpoint on the CPU, with ``network_weights`` and what nnU-Net stores beside them.

    Raises:
        MissingArtifactError: If the file is absent, unreadable, damaged in any bit of its content, or something else.
    """
    if path.exists() and not path.is_file():
        raise _refusal(path, "something that is no file")
    try:
        _require_checksums(path)
        with torch.serialization.safe_globals(CHECKPOINT_GLOBALS):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except UNREADABLE as error:
        reason = printable((str(error).splitlines() or ["empty"])[0])
        raise _refusal(path, f"an unreadable or damaged file ({reason})") from error
    problem = _problem(checkpoint)
    if problem:
        raise _refusal(path, f"an unreadable or damaged file ({problem})")
    return checkpoint


def _refusal(path: Path, found: str) -> MissingArtifactError:
    return MissingArtifactError(
        f"{path}: expected an nnU-Net checkpoint, got {found}; copy it again or retrain the fold"
    )


def _problem(checkpoint: Any) -> str | None:
    """Why something that was loaded is no checkpoint, None if it is one: weights by name, whole in memory."""
    if not isinstance(checkpoint, dict) or "network_weights" not in checkpoint:
        return f"{type(checkpoint).__name__} without network_weights"
    weights = checkpoint["network_weights"]
    if not isinstance(weights, dict):
        return f"its network_weights are a {type(weights).__name__}, not weights by name"
    for name, tensor in weights.items():
        if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
            return f"its weight {printable(str(name), 80)} is a {type(tensor).__name__}"
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.dtype not in DTYPES:
            return f"its weight {printable(name, 80)} is no array of plain numbers ({tensor.layout}, {tensor.dtype})"
    return None


def _require_checksums(path: Path) -> None:
    """Compare the checksums that PyTorch writes for every part of a file, and does not read.

    Raises:
        RuntimeError: If a part has another one; zipfile's own errors where the file is no whole zip.
    """
    if not zipfile.is_zipfile(path):
        return  # of the older format, or damaged: PyTorch says so
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise RuntimeError(f"checksum of {damaged}")


def require_sound(weights: Mapping[str, torch.Tensor], where: str) -> None:
    """Check that weights are numbers that a network can have learnt.

    Args:
        weights: By name, as in a state dict.
        where: Of them, for messages.

    Raises:
        MissingArtifactError: If one is NaN or infinite, a variance negative, or if the output is the same for all CTs.
    """
    advice = "the training has diverged or the file is damaged; copy it again or retrain the fold"
    for name, tensor in weights.items():
        if not tensor.is_floating_point():
            continue
        if not bool(torch.isfinite(tensor).all()):
            raise MissingArtifactError(f"{where}: expected finite weights, got NaN or infinity in {name}; {advice}")
        if name.endswith("running_var") and bool((tensor < 0).any()):
            raise MissingArtifactError(f"{where}: expected variances of 0 or more, got others in {name}; {advice}")
    kernels = [tensor for tensor in weights.values() if tensor.ndim > 1]
    scores = [tensor for name, tensor in weights.items() if "score_convs" in name and tensor.ndim > 1]
    if not any(bool(tensor.any()) for tensor in scores or kernels):
        raise MissingArtifactError(f"{where}: expected weights, got zeros alone, by which every CT is alike; {advice}")
