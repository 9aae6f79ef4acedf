"""Names of the branch datasets that a source dataset is stratified into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from soars_nnunet.branches import BRANCHES, Branch
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.errors import InputError
from soars_nnunet.progress import Progress, silent

MAX_ID = 999
"""Of an nnU-Net dataset."""
IDS_A_CASCADE = 10
"""A cascade's datasets have ids of one ten: 71, 72, ... of dataset 7."""


def branch_dataset_names(source: str, branches: Sequence[Branch], progress: Progress = silent) -> dict[str, str]:
    """Dataset name by branch key.

    Anchor, MidLevel, Detection, SmallHard and Baseline have ten times the source's id plus 1 to 5. Where other
    datasets have such ids, the first ten without others is taken instead, and a line says so. Datasets that this
    source was stratified into before keep their ids.

    Args:
        source: Name of the source dataset.
        branches: Those that get a dataset.
        progress: Receives a line where other ids than the usual ones are taken.

    Raises:
        InputError: If every ten has datasets of others.
    """
    number, _, _ = source.removeprefix("Dataset").partition("_")
    usual = IDS_A_CASCADE * (int(number) % 100 or 90)
    free = []
    for first in _candidates(usual):
        names = _names(source, branches, first)
        if others_with_ids_of(names):
            continue
        if _is_there(names):
            return names
        free.append(names)
    if not free:
        raise InputError(
            f"{raw_folder()}: expected free dataset ids for the {len(branches)} branches of {source}, up to {MAX_ID}, "
            "got datasets with such ids in every ten; remove or rename some"
        )
    names = free[0]
    if taken := others_with_ids_of(_names(source, branches, usual)):
        progress(f"ids {usual + 1} and up are taken by {', '.join(taken)}; using {', '.join(names.values())}")
    return names


def others_with_ids_of(names: dict[str, str]) -> list[str]:
    """Folders of raw datasets that have an id of one of these names, but are another dataset; sorted."""
    others = []
    for name in names.values():
        start, _, _ = name.partition("_")
        for path in raw_folder().glob(f"{start}_*"):
            if path.name != name:
                others.append(path.name)
    return sorted(others)


def _candidates(usual: int) -> Iterator[int]:
    """Tens to try, the usual one first."""
    yield usual
    for first in range(IDS_A_CASCADE, MAX_ID, IDS_A_CASCADE):
        if first != usual:
            yield first


def _names(source: str, branches: Sequence[Branch], first: int) -> dict[str, str]:
    """Names by branch key; every branch has its place in a ten, whether the others are there or not."""
    _, _, stem = source.partition("_")
    places = {key: place for place, key in enumerate(BRANCHES, 1)}
    names = {}
    for branch in branches:
        names[branch.key] = f"Dataset{first + places[branch.key]:03d}_{stem}_{branch.suffix}"
    return names


def _is_there(names: dict[str, str]) -> bool:
    return any((raw_folder() / name).is_dir() for name in names.values())
