"""Raw nnU-Net datasets: found by id or name, and the files of their training cases."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from soars_nnunet.cascade.dataset_json import check_case_table
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.errors import InputError, MissingArtifactError, did_you_mean

MAX_LISTED = 5
"""Missing files that a message names."""


class CaseFiles(NamedTuple):
    """Files of a training case: the CT, and the label map on its grid."""

    ct: Path
    labels: Path


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
    """Files of every training case of a raw dataset, as nnU-Net lists them.

    Args:
        source: Name of the dataset.
        dataset_json: Its dataset.json.

    Raises:
        InputError: If there are none or files are missing.
    """
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    folder = raw_folder() / source
    check_case_table(dataset_json, str(folder / "dataset.json"))
    if "dataset" not in dataset_json and not (folder / "imagesTr").is_dir():
        raise InputError(
            f"{folder}: expected imagesTr/ and labelsTr/, or a 'dataset' list in dataset.json; found neither"
        )
    cases = {}
    missing = []
    for case, files in get_filenames_of_train_images_and_targets(str(folder), dict(dataset_json)).items():
        cases[case] = CaseFiles(ct=Path(files["images"][0]), labels=Path(files["label"]))
        for path in cases[case]:
            if not path.is_file():
                missing.append(str(path))
    if missing or not cases:
        what = f"missing files: {', '.join(missing[:MAX_LISTED])}" if missing else "no cases"
        raise InputError(f"{source}: expected a CT and a label map per case, got {what}; complete the dataset")
    return cases
