"""Raw nnU-Net datasets: found by id or name, and the files of their training cases."""

from __future__ import annotations

from typing import Any

from soars_nnunet.cascade.dataset_listing import MISSING, NO_CT, NO_LABELS, CaseFiles, DatasetListing, list_dataset
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.errors import InputError, MissingArtifactError, did_you_mean

INCOMPLETE = (NO_LABELS, NO_CT, MISSING)
"""Kinds of what is left over that are parts of a case."""


def find_dataset(dataset: int | str) -> str:
    """Name of a raw dataset, from its id or name.

    Raises:
        MissingArtifactError: If there is none, or several share the id.
    """
    text = str(dataset)
    start = f"Dataset{int(text):03d}_" if text.isdigit() else None
    names = sorted(path.name for path in raw_folder().glob("Dataset*") if path.is_dir())
    found = []
    for name in names:
        if name == text or (start is not None and name.startswith(start)):
            found.append(name)
    if len(found) != 1:
        raise MissingArtifactError(
            f"dataset {text}: expected exactly one folder of that id or name in {raw_folder()}, got "
            f"{found or 'none'}; it holds: {', '.join(names) or 'no datasets'}"
            f"{'' if text.isdigit() else did_you_mean(text, names)}"
        )
    return found[0]


def training_cases(source: str, dataset_json: dict[str, Any]) -> dict[str, CaseFiles]:
    """Files of every complete training case of a raw dataset, sorted by name.

    Args:
        source: Name of the dataset.
        dataset_json: Its dataset.json.

    Raises:
        InputError: If there are none, or a case lacks a file.
    """
    listing = list_dataset(raw_folder() / source, dataset_json)
    incomplete = {kind: listing.left_over[kind] for kind in INCOMPLETE if kind in listing.left_over}
    for files in listing.cases.values():
        broken = [str(path) for path in files if not path.is_file()]
        if broken:
            incomplete.setdefault(MISSING, []).extend(broken)
    if incomplete or not listing.cases:
        what = DatasetListing({}, incomplete, []).describe() or "no cases"
        raise InputError(f"{source}: expected a CT and a label map per case, got {what}; complete the dataset")
    return listing.cases
