"""What lies in a raw nnU-Net dataset: complete cases, and everything that belongs to none.

nnU-Net itself lists the files of imagesTr alone, and passes over what does not fit without a word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from soars_nnunet.cascade.dataset_json import check_case_table
from soars_nnunet.errors import InputError

MAX_LISTED = 20
"""Names of a kind that a message lists; the others are counted."""

NUMBERED = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")
"""Name of a channel file without its ending."""

DOCUMENTS = (".txt", ".md", ".json", ".csv", ".tsv", ".xlsx", ".html", ".pdf", ".log", ".xml", ".yaml", ".yml")
"""Endings of files that are no images: they are passed over, as are hidden files."""

SYSTEM_FILES = ("thumbs.db", "desktop.ini")
"""What file managers leave behind."""

NO_LABELS = "CT(s) without a label map"
NO_CT = "label map(s) without a CT"
MISSING = "missing file(s)"
TWICE = "label map(s) of two cases"
NO_CHANNEL = "CT(s) without _0000 in their name"
MORE_CHANNELS = "file(s) of further channels"
FOREIGN = "file(s) of another ending"
FOLDERS = "folder(s)"


class CaseFiles(NamedTuple):
    """Files of a training case: the CT, and the label map on its grid."""

    ct: Path
    labels: Path


@dataclass(frozen=True)
class DatasetListing:
    """Files of a raw dataset.

    Attributes:
        cases: Complete cases by name, sorted. Their files have names; whether they can be read is seen later.
        left_over: Names of what belongs to no complete case, by kind; only kinds that there are.
        unlisted: Files of imagesTr and labelsTr that the list in dataset.json does not name, where it has one.
    """

    cases: dict[str, CaseFiles]
    left_over: dict[str, list[str]]
    unlisted: list[str]

    def describe(self, announced: Any = None) -> str:
        """What does not agree, with counts; empty if everything does.

        Args:
            announced: ``numTraining`` of dataset.json; None without one.
        """
        texts = []
        for kind, names in self.left_over.items():
            texts.append(f"{len(names)} {kind} ({shortened(names)})")
        if announced is not None and announced != len(self.cases):
            texts.append(f"numTraining {announced!r} for {len(self.cases)} complete case(s)")
        return ", ".join(texts)


def shortened(names: list[str]) -> str:
    """Names, the first ones where there are many."""
    text = ", ".join(names[:MAX_LISTED])
    return f"{text} and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else text


def list_dataset(folder: Path, dataset_json: Mapping[str, Any]) -> DatasetListing:
    """List a raw dataset by its dataset.json, imagesTr and labelsTr.

    Args:
        folder: Of the dataset.
        dataset_json: Its dataset.json: ``file_ending``, and ``dataset`` where that lists the files.

    Raises:
        InputError: If there are no such folders, or the list of files is none.
    """
    check_case_table(dataset_json, str(folder / "dataset.json"))
    ending = dataset_json["file_ending"]
    if "dataset" in dataset_json:
        return _by_list(folder, dataset_json["dataset"], ending)
    if not (folder / "imagesTr").is_dir() or not (folder / "labelsTr").is_dir():
        raise InputError(
            f"{folder}: expected imagesTr/ and labelsTr/, or a 'dataset' list in dataset.json; found neither"
        )
    left_over: dict[str, list[str]] = {}
    cts = _channel_files(folder / "imagesTr", ending, left_over)
    maps = _label_files(folder / "labelsTr", ending, left_over)
    _enter(left_over, NO_LABELS, [cts[case].name for case in cts if case not in maps])
    _enter(left_over, NO_CT, [maps[case].name for case in maps if case not in cts])
    cases = {}
    for case in sorted(cts.keys() & maps.keys()):
        cases[case] = CaseFiles(cts[case], maps[case])
    return DatasetListing(cases, left_over, [])


def _channel_files(folder: Path, ending: str, left_over: dict[str, list[str]]) -> dict[str, Path]:
    """CT by case; what is none is entered into ``left_over``."""
    cts = {}
    for path in _files_of(folder, ending, left_over):
        match = NUMBERED.fullmatch(path.name.removesuffix(ending))
        if match is None:
            _enter(left_over, NO_CHANNEL, [path.name])
        elif match["channel"] != "0000":
            _enter(left_over, MORE_CHANNELS, [path.name])
        else:
            cts[match["case"]] = path
    return cts


def _label_files(folder: Path, ending: str, left_over: dict[str, list[str]]) -> dict[str, Path]:
    """Label map by case."""
    return {path.name.removesuffix(ending): path for path in _files_of(folder, ending, left_over)}


def _files_of(folder: Path, ending: str, left_over: dict[str, list[str]]) -> Iterator[Path]:
    """Entries of a folder that have the ending, sorted; the others are entered into ``left_over``.

    Links count by their names, wherever they lead.
    """
    for name in sorted(os.listdir(folder)):
        path = folder / name
        shown = f"{folder.name}/{name}"
        if name.startswith(".") or name.lower() in SYSTEM_FILES:
            continue
        if path.is_dir():
            _enter(left_over, FOLDERS, [shown])
        elif name.endswith(ending) and name != ending:
            yield path
        elif not name.lower().endswith(DOCUMENTS):
            _enter(left_over, FOREIGN, [shown])


def _by_list(folder: Path, listed: Mapping[str, Any], ending: str) -> DatasetListing:
    """Cases as ``dataset`` of dataset.json lists them: paths of any place, relative ones below the dataset."""
    cases: dict[str, CaseFiles] = {}
    left_over: dict[str, list[str]] = {}
    taken: dict[Path, str] = {}
    for case, entry in sorted(listed.items()):
        files = _entry_files(folder, entry)
        missing = [str(path) for path in files if not os.path.lexists(path)]
        _enter(left_over, MISSING, missing)
        taken[files.ct.resolve()] = case  # two observers may have drawn in one CT
        other = taken.setdefault(files.labels.resolve(), case)
        if other != case:
            _enter(left_over, TWICE, [f"{files.labels.name} of {other} and {case}"])
        elif not missing:
            cases[case] = files
    return DatasetListing(cases, left_over, _unlisted(folder, set(taken), ending))


def _entry_files(folder: Path, entry: Mapping[str, Any]) -> CaseFiles:
    """Files of one case in the list."""
    paths = []
    for name in (entry["images"][0], entry["label"]):
        paths.append(Path(os.path.abspath(folder / os.path.expandvars(name))))
    return CaseFiles(ct=paths[0], labels=paths[1])


def _unlisted(folder: Path, listed: set[Path], ending: str) -> list[str]:
    """Files of imagesTr and labelsTr that no case of the list has; they are not necessarily forgotten."""
    found = []
    for kind in ("imagesTr", "labelsTr"):
        if not (folder / kind).is_dir():
            continue
        for path in _files_of(folder / kind, ending, {}):
            if path.resolve() not in listed:
                found.append(f"{kind}/{path.name}")
    return found


def _enter(table: dict[str, list[str]], kind: str, names: list[str]) -> None:
    """Add names of a kind, if there are any."""
    if names:
        table.setdefault(kind, []).extend(names)
