"""The folder that predictions go to: it has one label table, and nothing in it is overwritten that is not ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.storage import file_hash, read_json, write_json, write_text
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.images.label_map import read_label_map
from soars_nnunet.images.label_names import itk_snap_labels, slicer_colors
from soars_nnunet.progress import Progress, silent

ENDINGS = (".nii.gz", ".nrrd", ".mha")
"""Of label files: that of the CT if it is one of these, else the first."""

LABEL_TABLE = "dataset.json"
"""Of the folder: label by organ name, and the profile."""

SLICER_TABLE, ITK_SNAP_TABLE = "soars_labels.ctbl", "soars_labels_itksnap.txt"
"""Names and colours of all labels for 3D Slicer and ITK-SNAP, beside the label table."""

RAW_PARTS = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")
"""Folders of a raw nnU-Net dataset."""

REPLACES = "replaces"
"""In a report: hash of the label file that its own takes the place of, which an interruption may have left there."""


@dataclass(frozen=True)
class LabelTable:
    """What the values of all label files of a folder mean.

    Attributes:
        labels: Value by name, the background included.
        profile: Name of the profile.
    """

    labels: dict[str, int]
    profile: str

    def extended(self, labels: Mapping[str, int]) -> dict[str, int]:
        """Both tables in one, by value; empty if they contradict each other."""
        names = {value: name for name, value in self.labels.items()}
        for name, value in labels.items():
            if self.labels.get(name, value) != value or names.get(value, name) != name:
                return {}
        both = {**self.labels, **labels}
        return dict(sorted(both.items(), key=lambda entry: entry[1]))


def require_folder_of_predictions(folder: Path) -> LabelTable | None:
    """Check that predictions may be written to a folder.

    Returns:
        The label table that lies there; None if there is none yet.

    Raises:
        InputError: If the folder is a raw dataset or a part of one, or its dataset.json is no prediction's.
    """
    above = folder.resolve().parent / LABEL_TABLE
    if folder.resolve().name in RAW_PARTS and above.is_file():
        raise InputError(
            f"-o {folder}: expected a folder for predictions, got a part of the dataset of {above}; name another"
        )
    path = folder / LABEL_TABLE
    if not path.exists():
        return None
    table = _as_label_table(_json_or_none(path))
    if table is None:
        raise InputError(
            f"-o {folder}: expected a new folder or one of soars-cascade-predict, but its {LABEL_TABLE} is another "
            "dataset's, which predictions would overwrite; name another folder"
        )
    return table


def images_of_others(folder: Path, endings: Sequence[str]) -> list[str]:
    """Names of image files in a folder beside which no report lies, sorted; empty without the folder."""
    found = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        for ending in endings:
            if path.name.endswith(ending) and not path.with_name(path.name.removesuffix(ending) + ".json").is_file():
                found.append(path.name)
                break
    return found


def claim(folder: Path, labels: Mapping[str, int], profile: str, progress: Progress = silent) -> None:
    """Write the label table of a folder; names that are there already stay.

    Args:
        folder: Made if need be.
        labels: Value by name, the background included.
        profile: Name of the profile.
        progress: Receives a warning where a folder without a table has images that no prediction wrote.

    Raises:
        InputError: If the folder is not for predictions, or its table has another profile or other labels.
    """
    found = require_folder_of_predictions(folder)
    if found is None:
        others = images_of_others(folder, ENDINGS)
        if others:
            progress(
                f"warning: -o {folder} has {len(others)} image(s) that no prediction wrote, such as {others[0]}; "
                f"{LABEL_TABLE} says nothing of their labels"
            )
        write_json(folder / LABEL_TABLE, {"labels": dict(labels), "profile": profile})
        write_viewer_tables(folder, labels)
        return
    table = found.extended(labels)
    if not table or found.profile != profile:
        raise InputError(
            f"-o {folder}: expected a folder without predictions or with those of profile {profile}, got {LABEL_TABLE} "
            f"of profile {found.profile} with {_difference(found.labels, labels)}; use another -o"
        )
    write_viewer_tables(folder, table)
    if table != found.labels:
        write_json(folder / LABEL_TABLE, {**read_json(folder / LABEL_TABLE), "labels": table})


def write_viewer_tables(folder: Path, labels: Mapping[str, int]) -> None:
    """Write names and colours of the labels for 3D Slicer and ITK-SNAP, where they are not there already."""
    for name, text in ((SLICER_TABLE, slicer_colors(labels)), (ITK_SNAP_TABLE, itk_snap_labels(labels))):
        path = folder / name
        if not path.is_file() or path.read_bytes() != text.encode("utf-8"):
            write_text(path, text)


def require_own(labels: Path, report: Path, organs: Collection[str], *, overwrite: bool) -> None:
    """Check that a case's files, where there are some, were written by an earlier prediction.

    Args:
        labels: Where its label file will be written.
        report: Where its report will be.
        organs: What will be segmented.
        overwrite: Labels that were changed since, and organs that are not segmented again, may be lost.

    Raises:
        InputError: If one of them is something else, or has more organs. Damaged files, which nobody can use, are
            none of these.
    """
    before = _read_report(report)
    if before is None or not labels.is_file():
        return
    if not before:
        raise InputError(
            f"{labels}: expected no file there, or one that soars-cascade-predict wrote, got one without a report "
            f"{report.name}; move it or name another -o"
        )
    if overwrite or not _is_readable(labels):
        return
    if file_hash(labels) not in (before["sha256"].get("output"), before.get(REPLACES)):
        raise InputError(
            f"{labels}: expected the labels that {report.name} was written for, got others, as if they were edited; "
            "move them, name another -o, or give --overwrite"
        )
    lost = sorted(set(before.get("organs", ())) - set(organs))
    if lost:
        raise InputError(
            f"{labels}: has {len(lost)} organ(s) that would be lost, such as {lost[0]}; name another -o, "
            "or give --overwrite"
        )


def replaced_hash(labels: Path) -> dict[str, str]:
    """What a report says of the label file whose place its own takes; empty if there is none."""
    return {REPLACES: file_hash(labels)} if labels.is_file() else {}


def _read_report(path: Path) -> dict[str, Any] | None:
    """An earlier report, empty where there is none; None for a damaged one.

    Raises:
        InputError: If the file is JSON of something else.
    """
    if not path.is_file():
        return {}
    data = _json_or_none(path)
    if data is None:
        return None
    if not isinstance(data, dict) or not isinstance(data.get("sha256"), dict):
        raise InputError(
            f"{path}: expected no file there, or a report of soars-cascade-predict, got other JSON, which the report "
            "would overwrite; move it or name another -o"
        )
    return data


def _as_label_table(data: Any) -> LabelTable | None:
    """The label table of a prediction's dataset.json; None if it is another's."""
    if not isinstance(data, dict) or "channel_names" in data or not isinstance(data.get("profile"), str):
        return None
    labels = data.get("labels")
    if not isinstance(labels, dict) or not all(type(value) is int for value in labels.values()):
        return None
    return LabelTable(labels, data["profile"])


def _json_or_none(path: Path) -> Any:
    """Parsed JSON; None for a file that holds none, as after damage."""
    try:
        return read_json(path)
    except MissingArtifactError:
        return None


def _is_readable(labels: Path) -> bool:
    try:
        read_label_map(labels)
    except InputError:
        return False
    return True


def _difference(found: Mapping[str, int], labels: Mapping[str, int]) -> str:
    """The first label that means two things, or how many names each table has."""
    names = {value: name for name, value in found.items()}
    for name, value in labels.items():
        if names.get(value, name) != name:
            return f"{value} = {names[value]}, here {name}"
        if found.get(name, value) != value:
            return f"{name} = {found[name]}, here {value}"
    return f"{len(found) - 1} organs"
