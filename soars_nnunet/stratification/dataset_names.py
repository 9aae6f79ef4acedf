"""Names of the branch datasets that a source dataset is stratified into."""

from __future__ import annotations

from collections.abc import Sequence

from soars_nnunet.branches import BRANCHES, Branch
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.errors import InputError

MAX_ID = 999
"""Of an nnU-Net dataset."""


def branch_dataset_names(source: str, branches: Sequence[Branch], ids: Sequence[int] | None) -> dict[str, str]:
    """Dataset name by branch key.

    Args:
        source: Name of the source dataset.
        branches: Those that get a dataset.
        ids: Dataset ids for Anchor, MidLevel, Detection, SmallHard and, if it is among the branches, Baseline; by
            default ten times the source id plus 1 to 5.

    Raises:
        InputError: If the ids are unusable, or taken by other datasets.
    """
    number, _, stem = source.removeprefix("Dataset").partition("_")
    count = 5 if any(branch.key == "baseline" for branch in branches) else 4
    if ids is None:
        base = 10 * (int(number) % 100 or 90)
        ids = range(base + 1, base + 1 + count)
    if len(ids) != count or len(set(ids)) != count or min(ids) < 1 or max(ids) > MAX_ID:
        raise InputError(f"--ids: expected {count} different dataset ids between 1 and {MAX_ID}, got {list(ids)}")
    by_key = dict(zip(BRANCHES, ids, strict=False))  # one too many where there is no baseline
    names = {}
    for branch in branches:
        names[branch.key] = f"Dataset{by_key[branch.key]:03d}_{stem}_{branch.suffix}"
    for name in names.values():
        _require_free(name)
    return names


def _require_free(name: str) -> None:
    """Check that no other dataset has the id of this one."""
    start, _, _ = name.partition("_")
    for path in sorted(raw_folder().glob(f"{start}_*")):
        if path.name != name:
            number = start.removeprefix("Dataset")
            raise InputError(f"dataset id {number} is taken by {path.name}; choose others with --ids")
