"""Raw nnU-Net datasets that experiments take and make."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from soars_nnunet.cascade.storage import read_json, write_json

FOLDERS = ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results")


def use_folders(output: Path) -> None:
    """Point nnU-Net's variables into a folder, so that an experiment has nnU-Net folders of its own."""
    for name in FOLDERS:
        os.environ[name] = str((output / name).resolve())


def cases_of(dataset: Path) -> list[str]:
    """Cases of a raw dataset's training part, sorted."""
    ending = read_json(dataset / "dataset.json")["file_ending"]
    paths = (dataset / "labelsTr").glob(f"*{ending}")
    return sorted(path.name.removesuffix(ending) for path in paths)


def file_entries(dataset: Path, cases: Iterable[str]) -> dict[str, dict]:
    """Entries of the key ``dataset`` of a dataset.json: where the files of cases are."""
    dataset = dataset.resolve()
    ending = read_json(dataset / "dataset.json")["file_ending"]
    entries = {}
    for case in cases:
        image = dataset / "imagesTr" / f"{case}_0000{ending}"
        label = dataset / "labelsTr" / f"{case}{ending}"
        entries[case] = {"images": [str(image)], "label": str(label)}
    return entries


def write_reference_dataset(folder: Path, like: Path, entries: Mapping[str, dict]) -> None:
    """Raw dataset that refers to the files of others.

    Args:
        folder: Of the new dataset.
        like: Dataset whose labels and file ending it has.
        entries: From ``file_entries``.
    """
    facts = read_json(like / "dataset.json")
    write_json(folder / "dataset.json", facts | {"numTraining": len(entries), "dataset": dict(entries)})
