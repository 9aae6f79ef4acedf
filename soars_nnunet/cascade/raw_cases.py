"""CT and label file of every training case of a raw dataset."""

from __future__ import annotations

from pathlib import Path

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.errors import InputError


def training_cases(source: str, dataset_json: dict) -> dict[str, tuple[Path, Path]]:
    """CT and label file of every training case of a raw dataset, as nnU-Net lists them.

    Raises:
        ValueError: If there are none or files are missing.
    """
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    folder = raw_folder() / source
    if "dataset" not in dataset_json and not (folder / "imagesTr").is_dir():
        raise InputError(
            f"{folder}: expected imagesTr/ and labelsTr/, or a 'dataset' list in dataset.json; found neither"
        )
    listed = get_filenames_of_train_images_and_targets(str(folder), dict(dataset_json))
    cases = {case: (Path(files["images"][0]), Path(files["label"])) for case, files in listed.items()}
    missing = [str(path) for pair in cases.values() for path in pair if not path.is_file()]
    if missing or not cases:
        what = f"missing files: {', '.join(missing[:5])}" if missing else "no cases"
        raise InputError(f"{source}: expected a CT and a label map per case, got {what}; complete the dataset")
    return cases
