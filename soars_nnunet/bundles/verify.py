"""Checking a bundle file by file, so that everything that is wrong with it is said at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.bundles.format import CARD, CARD_DATA
from soars_nnunet.errors import MissingArtifactError


@dataclass(frozen=True)
class CheckedFile:
    """A file of a bundle that was read.

    Attributes:
        name: Of the file.
        bytes: Its size, as the manifest has it.
        content: What is in it, in words.
        problem: What is wrong with it; empty if nothing is.
    """

    name: str
    bytes: int
    content: str
    problem: str = ""


def check_files(bundle: Bundle) -> Iterator[CheckedFile]:
    """Read every file of an opened bundle: weights by branch and fold, then the others.

    Args:
        bundle: Its manifest, and which files there are, were checked when it was opened.

    Yields:
        Each file, once it was read.
    """
    weights = set()
    for key, branch in bundle.described.branches.items():
        for fold, name in branch.folds.items():
            weights.add(name)
            yield _check_weights(bundle, name, key, fold)
    for name in bundle.described.files:
        if name not in weights:
            yield _check_file(bundle, name)


def _check_weights(bundle: Bundle, name: str, branch: str, fold: int) -> CheckedFile:
    size = bundle.described.files[name].bytes
    try:
        tensors = bundle.branch(branch).weights(fold)
    except MissingArtifactError as error:
        return CheckedFile(name, size, f"weights of {branch}, fold {fold}", str(error))
    numbers = sum(tensor.numel() for tensor in tensors.values())
    return CheckedFile(name, size, f"weights of {branch}, fold {fold}: {len(tensors)} tensors, {numbers} numbers")


def _check_file(bundle: Bundle, name: str) -> CheckedFile:
    size = bundle.described.files[name].bytes
    content = "model card" if name in (CARD, CARD_DATA) else "text"
    try:
        bundle.read(name)
        if name == CARD:
            _ = bundle.card_text
        elif name == CARD_DATA:
            _ = bundle.card
    except MissingArtifactError as error:
        return CheckedFile(name, size, content, str(error))
    return CheckedFile(name, size, content)
