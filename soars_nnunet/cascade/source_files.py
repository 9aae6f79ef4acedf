"""The files that a dataset was stratified from, by content: later steps refuse what changed since.

``soars-stratify`` writes the hashes beside its record. A dataset that an older version stratified has none, and is
taken as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.ct_hash import ct_hash
from soars_nnunet.cascade.dataset_listing import CaseFiles, list_dataset, shortened
from soars_nnunet.cascade.environment import preprocessed_folder, raw_folder
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import read_json, read_user_json, write_json
from soars_nnunet.errors import InputError, MissingArtifactError

FILE = "soars_source_files.json"
"""Beside the record of the cascade."""


@dataclass(frozen=True)
class FileStamp:
    """A file's content.

    Attributes:
        sha256: Of its bytes, and of its voxels where they lie in another file.
        size: Bytes of the file itself.
    """

    sha256: str
    size: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """Stamp of a file as it is now."""
        return cls(ct_hash(path), path.stat().st_size)

    def fits(self, path: Path, since_ns: int | None) -> bool:
        """Whether a file has this content.

        Args:
            path: The file.
            since_ns: A file of this size that was not written since then is not read; None reads it.
        """
        stat = path.stat()
        if stat.st_size != self.size:
            return False
        if since_ns is not None and stat.st_mtime_ns <= since_ns:
            return True
        return ct_hash(path) == self.sha256


@dataclass(frozen=True)
class CaseStamps:
    """A case's files at the time of stratification.

    Attributes:
        ct: The CT.
        labels: The source's label map.
        written: The label map of each branch, by its key.
    """

    ct: FileStamp
    labels: FileStamp
    written: dict[str, FileStamp]

    @classmethod
    def of(cls, files: CaseFiles, written: Mapping[str, Path]) -> CaseStamps:
        """Stamps of a case's files as they are now.

        Args:
            files: Of the source.
            written: Label map of each branch.
        """
        of_branches = {key: FileStamp.of(path) for key, path in written.items()}
        return cls(FileStamp.of(files.ct), FileStamp.of(files.labels), of_branches)

    def changed(self, files: CaseFiles, written: Mapping[str, Path], since_ns: int | None) -> list[str]:
        """Which of a case's files are missing or have another content, by the last parts of their paths."""
        pairs = [(self.ct, files.ct), (self.labels, files.labels)]
        for key, stamp in self.written.items():
            if key in written:
                pairs.append((stamp, written[key]))
        found = []
        for stamp, path in pairs:
            if not path.is_file() or not stamp.fits(path, since_ns):
                found.append("/".join(path.parts[-3:]))
        return found


def write_source_files(source: str, stamps: Mapping[str, CaseStamps]) -> None:
    """Remember the files of every stratified case."""
    write_json(_path(source), {case: asdict(of_case) for case, of_case in sorted(stamps.items())})


def stratified_files(cascade: Cascade) -> dict[str, CaseFiles]:
    """Files of the source's own training cases, sorted by name; of those alone that were stratified.

    Raises:
        InputError: If files of one are not there.
    """
    folder = raw_folder() / cascade.source
    found = list_dataset(folder, read_user_json(folder / "dataset.json")).cases
    wanted = cascade.cases or tuple(found)
    missing = [case for case in wanted if case not in found or not _are_there(found[case])]
    if missing or not wanted:
        what = f"none of {len(missing)} case(s) ({shortened(missing)})" if missing else "no case"
        raise InputError(
            f"{folder}: expected the CT and the label map of every stratified case, got {what}; put the files back, or "
            f"run soars-stratify again"
        )
    return {case: found[case] for case in wanted}


def _are_there(files: CaseFiles) -> bool:
    return files.ct.is_file() and files.labels.is_file()


def require_unchanged(cascade: Cascade, quick: bool = False) -> None:
    """Check that CTs and label maps are those that were stratified, and the branches' those that this wrote.

    Args:
        cascade: The stratified dataset.
        quick: Do not read files of the same size that were not written since stratification.

    Raises:
        MissingArtifactError: Naming every file that changed.
        InputError: If files are not there.
    """
    path = _path(cascade.source)
    if not path.is_file():
        return
    stamps = _read(path)
    changed = []
    since_ns = path.stat().st_mtime_ns if quick else None
    ending = read_user_json(raw_folder() / cascade.source / "dataset.json")["file_ending"]
    for case, files in stratified_files(cascade).items():
        if case not in stamps:
            continue
        written = {key: cascade.raw(key) / "labelsTr" / f"{case}{ending}" for key in cascade.datasets}
        changed += stamps[case].changed(files, written, since_ns)
    if changed:
        raise MissingArtifactError(
            f"{cascade.source}: expected the files that were stratified, got {len(changed)} that changed since "
            f"({shortened(changed)}); put the files back, or run soars-stratify again"
        )


def _path(source: str) -> Path:
    return preprocessed_folder() / source / FILE


def _read(path: Path) -> dict[str, CaseStamps]:
    """Stamps by case.

    Raises:
        MissingArtifactError: If the file is something else.
    """
    data: Any = read_json(path)
    stamps = {}
    try:
        for case, entry in data.items():
            written = {key: FileStamp(**stamp) for key, stamp in entry["written"].items()}
            stamps[case] = CaseStamps(FileStamp(**entry["ct"]), FileStamp(**entry["labels"]), written)
    except (AttributeError, KeyError, TypeError) as error:
        raise MissingArtifactError(
            f"{path}: expected the hashes of every case's files, got something else; run soars-stratify again"
        ) from error
    return stamps
