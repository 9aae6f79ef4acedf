"""Reading nnU-Net's checkpoints without running code from them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from soars_nnunet.errors import MissingArtifactError

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


def load_checkpoint(path: Path) -> dict[str, Any]:
    """An nnU-Net checkpoint on the CPU, with ``network_weights`` and what nnU-Net stores beside them.

    Raises:
        MissingArtifactError: If the file is absent, unreadable or something else.
    """
    try:
        with torch.serialization.safe_globals(CHECKPOINT_GLOBALS):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint["network_weights"]
    except (RuntimeError, EOFError, KeyError, OSError, pickle.UnpicklingError) as error:
        reason = (str(error).splitlines() or ["empty"])[0]
        raise MissingArtifactError(
            f"{path}: expected an nnU-Net checkpoint, got an unreadable file ({reason}); "
            "copy it again or retrain the fold"
        ) from error
    return checkpoint
