"""nnU-Net's ``.pkl`` files beside preprocessed cases, read without running code from them.

nnU-Net stores the properties of a preprocessed case (spacing, box, places of classes) with ``pickle``, and unpickles
them again in training. A pickle may name any function to call. Here only those may be named by which numbers and arrays
are made; a file that names another is refused before nnU-Net sees it.
"""

from __future__ import annotations

import io
import pickle
import stat
from pathlib import Path
from typing import Any

from soars_nnunet.errors import MissingArtifactError, listed
from soars_nnunet.schemas.printable import printable

ENDING = ".pkl"

ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")
"""Modules of the functions that make arrays, as numpy 1 and numpy 2 name them."""

PLAIN = {
    *((module, name) for module in ARRAYS for name in ("_reconstruct", "scalar", "_frombuffer")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("builtins", "slice"),
    ("builtins", "set"),
    ("collections", "OrderedDict"),
}
"""What a file may name: it makes numbers, arrays, texts and containers of them, and does nothing else."""

MAX_BYTES = 2**30
"""Of a file; those of a hundred classes have a few MB."""

REMEDY = "delete its folder and run soars-plan, which preprocesses anew"


class _PlainUnpickler(pickle.Unpickler):
    """Unpickler that finds what is in ``PLAIN`` alone."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        """The function or class.

        Raises:
            pickle.UnpicklingError: If it is another.
        """
        if (module_name, global_name) not in PLAIN:
            raise pickle.UnpicklingError(f"names {printable(f'{module_name}.{global_name}', 80)}, which is no data")
        return super().find_class(module_name, global_name)


def read_plain_pickle(path: Path) -> Any:
    """Data out of a pickle.

    Raises:
        MissingArtifactError: If the file is absent, no pickle, or names anything but numbers, arrays and containers.
    """
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_BYTES:
            raise pickle.UnpicklingError(f"is no file of at most {MAX_BYTES} bytes")
        return _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
    except FileNotFoundError as error:
        raise MissingArtifactError(f"expected the file {path}, found none; {REMEDY}") from error
    except (
        pickle.UnpicklingError,
        ArithmeticError,
        AttributeError,
        EOFError,
        ImportError,
        LookupError,
        MemoryError,
        OSError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:  # whatever a damaged file makes of itself
        reason = printable((str(error).splitlines() or ["is empty"])[0], 120)
        raise MissingArtifactError(
            f"{path}: expected nnU-Net's properties of a case, got a file that {reason}; {REMEDY}"
        ) from error


def require_plain_pickles(folder: Path) -> None:
    """Check every pickle in a folder of preprocessed cases, before nnU-Net unpickles them.

    Raises:
        MissingArtifactError: If one is no plain data; names all that are none.
    """
    faults = []
    for path in sorted(folder.glob(f"*{ENDING}")):
        try:
            read_plain_pickle(path)
        except MissingArtifactError as error:
            faults.append(str(error).removesuffix(f"; {REMEDY}"))
    if faults:
        raise MissingArtifactError(f"{listed(faults)}; {REMEDY}")
