"""Cascade prediction of files: a CT or a folder in, label volumes and reports out."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch

from soars_nnunet.artifacts import (
    INFERENCE_REVISION,
    MissingArtifactError,
    file_hash,
    json_hash,
    read_json,
    replacing,
    write_json,
)
from soars_nnunet.ct import InputError, check_ct, check_geometry, list_cts, read_ct, read_header
from soars_nnunet.memory import describe_memory, estimate_bytes, held_bytes, require_memory, total_bytes
from soars_nnunet.predict import CascadePredictor
from soars_nnunet.tiling import DEFAULT_TILING, Tiling

logger = logging.getLogger(__name__)
Progress = Callable[[str], None]


def predict_files(
    source: Path | Sequence[tuple[str, Path]],
    output: Path,
    manifest: Path,
    *,
    folds: Sequence[int] | None = None,
    device: torch.device | str = "cpu",
    tiling: Tiling = DEFAULT_TILING,
    overwrite: bool = False,
    progress: Progress = lambda text: None,
    postprocess: bool = True,
    mirror: bool = False,
    organs: Sequence[str] | None = None,
    part: tuple[int, int] = (0, 1),
    fast: bool = False,
    memory_limit_gib: float | None = None,
) -> list[Path]:
    """Segment every CT of a file or folder.

    Writes ``<case><ending>``, the report ``<case>.json``, and ``dataset.json`` with the label names.
    A finished case is kept if input, models and output still have the hashes in its report. A CT
    that cannot be used does not stop the others. While the networks run on a case, the next one is read
    and the one before is written.

    Args:
        source: CT file or folder, or case names and their CT files.
        output: Folder, made if need be.
        manifest: Of the trained cascade.
        folds: Folds of every branch to average.
        device: Where the networks run.
        tiling: Where the networks run, and on how large tiles.
        overwrite: Predict again where a verified result exists.
        progress: Receives one line per case.
        postprocess: Keep only the largest part where ``soars-cross-validate`` found that it helps.
        mirror: Test-time augmentation: average every network with itself on the mirrored input.
        organs: Only these; None for all.
        part: Which part of how many: every so manieth case, for processes side by side.
        fast: One fold of each branch, unless folds are given, and large tiles.
        memory_limit_gib: What the process may take in all; None for what is free. A CT for which that is estimated
            not to suffice is refused before work on it starts.

    Returns:
        The label files of this part, empty if it has no cases.

    Raises:
        InputError: If there are no CTs, or, after the others were done, if some were unusable or failed.
    """
    cases = _selected(source, output, part)
    if not cases:
        progress(f"part {part[0]} of {part[1]}: no case")
        return []
    lone = _read_lone(*cases[0], memory_limit_gib) if len(cases) == 1 else None
    predictor = CascadePredictor(
        manifest,
        folds=folds,
        device=device,
        tiling=tiling,
        postprocess=postprocess,
        mirror=mirror,
        organs=organs,
        fast=fast,
    )
    too_large = _check_memory(predictor, cases, memory_limit_gib, progress)
    write_json(output / "dataset.json", {"labels": predictor.labels, "profile": predictor.profile.name})
    common = {
        "models": {key: model.fingerprint for key, model in predictor.models.items()},
        "plans": {key: model.plans_hash for key, model in predictor.models.items()},
        "inference": INFERENCE_REVISION,
        "cascade": json_hash({key: predictor.manifest[key] for key in ("profile", "targets")}),
        "mirror": mirror,
        "tiling": asdict(predictor.tiling),
        "largest_part": predictor.largest_part,
        "organs": predictor.organs,
    }
    run = _Run(predictor, common, overwrite, memory_limit_gib, progress, lone, held_bytes(), too_large)
    jobs = [
        _Job(f"[{index}/{len(cases)}] {case}", case, path, output / f"{case}{_ending(path)}", output / f"{case}.json")
        for index, (case, path) in enumerate(cases, 1)
    ]
    run.all(jobs)
    if run.failed:
        raise InputError(
            f"{len(run.failed)} of {len(cases)} CTs were refused or failed: " + "; ".join(run.failed.values())
        )
    return [job.labels for job in jobs]


def _selected(
    source: Path | Sequence[tuple[str, Path]], output: Path, part: tuple[int, int]
) -> Sequence[tuple[str, Path]]:
    """Cases of a part; refuses an output that is no folder or would overwrite a CT."""
    if not 0 <= part[0] < part[1]:
        raise InputError(f"part: expected an id from 0 to the number of parts less one, got id {part[0]} of {part[1]}")
    cases = (list_cts(source) if isinstance(source, Path) else source)[part[0] :: part[1]]
    if cases and output.is_file():
        raise InputError(f"-o {output}: expected a folder, got a file; name a folder")
    if isinstance(source, Path) and source.is_dir() and output.resolve() == source.resolve():
        raise InputError(f"-o {output}: expected another folder than the CTs', or labels are taken for CTs; name one")
    for case, path in cases:
        if case == "dataset":
            raise InputError(f"{path}: expected another name than that of dataset.json; rename the CT")
        if (output / f"{case}{_ending(path)}").resolve() == path.resolve():
            raise InputError(f"-o {output}: the labels of {case} would overwrite its CT {path}; name another folder")
    return cases


def _read_lone(case: str, path: Path, limit_gib: float | None) -> sitk.Image:
    """The only CT, checked: if it is bad, that is said before models are loaded."""
    if header := read_header(path):
        require_memory(2 * _pixel_bytes(header) * math.prod(header.GetSize()), limit_gib, case)
    return check_ct(read_ct(path), case)


@dataclass(frozen=True)
class _Job:
    title: str
    case: str
    ct: Path
    labels: Path
    report: Path


@dataclass
class _Run:
    """Predicts one case after the other, reading the next and writing the last one meanwhile."""

    predictor: CascadePredictor
    common: dict[str, Any]
    overwrite: bool
    memory_limit_gib: float | None
    progress: Progress
    lone: sitk.Image | None
    held: int
    too_large: dict[str, InputError]
    failed: dict[str, str] = field(default_factory=dict)

    def all(self, jobs: Sequence[_Job]) -> None:
        """Every job; ``failed`` says afterwards which did not succeed, and why."""
        with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
            reading = reader.submit(self.prepare, jobs[0])
            writing: list[tuple[str, Future]] = []
            for job, following in zip(jobs, [*jobs[1:], None], strict=True):
                prepared = self.attempt(job.case, reading.result)
                if following:
                    reading = reader.submit(self.prepare, following)
                if prepared and prepared[1] is None:
                    self.progress(f"{job.title}: finished already, verified")
                elif prepared:
                    self.progress(job.title)
                    key, image = prepared
                    done = self.attempt(job.case, partial(self.predict, image, job))
                    while writing:
                        self.finish(*writing.pop())
                    if done:
                        writing.append((job.case, writer.submit(_write, *done, job, key)))
            while writing:
                self.finish(*writing.pop())

    def attempt(self, case: str, step: Callable[[], Any]) -> Any:
        """Result of a step; None, noted and said, if it fails, by whatever: the other cases go on."""
        try:
            return step()
        except Exception as error:
            logger.debug(case, exc_info=True)
            refused = isinstance(error, InputError)
            text = " ".join(str(error).split())
            self.failed[case] = text if refused else f"{case}: {type(error).__name__}: {text}"
            self.progress(f"  {'refused' if refused else 'failed'}: {self.failed[case]}")
            return None

    def prepare(self, job: _Job) -> tuple[dict[str, Any], sitk.Image | None]:
        """What a result depends on, and the CT; None for it where a verified result exists."""
        key = {"input": file_hash(job.ct), **self.common}
        if not self.overwrite and _is_finished(job.labels, job.report, key):
            return key, None
        if job.case in self.too_large:
            raise self.too_large[job.case]
        return key, self.lone if self.lone is not None else read_ct(job.ct)

    def predict(self, image: sitk.Image, job: _Job) -> tuple[sitk.Image, dict[str, Any]]:
        """Labels and report, if there is memory enough."""
        check_geometry(image, job.case)  # or else the estimate would make no sense
        require_memory(_needed(self.predictor, image), self.memory_limit_gib, job.case, self.held)
        return self.predictor.predict(image, job.case)

    def finish(self, case: str, writing: Future) -> None:
        """Wait for a case's files and say what is in them."""
        if line := self.attempt(case, writing.result):
            self.progress(line)


def _needed(predictor: CascadePredictor, header: sitk.Image | sitk.ImageFileReader) -> int:
    """Estimate for a CT whose size and spacing are known; the networks' frame may have its axes in another order."""
    vois_mm = [facts["size_mm"] for facts in predictor.manifest["targets"].values()]
    size, spacing_mm = header.GetSize()[::-1], header.GetSpacing()[::-1]
    return estimate_bytes(size, spacing_mm, predictor.models.values(), vois_mm, _pixel_bytes(header))


def _pixel_bytes(header: sitk.Image | sitk.ImageFileReader) -> int:
    """Of a voxel as stored."""
    return sitk.Image(1, 1, header.GetPixelID()).GetSizeOfPixelComponent()


def _check_memory(
    predictor: CascadePredictor, cases: Sequence[tuple[str, Path]], limit_gib: float | None, progress: Progress
) -> dict[str, InputError]:
    """Say before work starts what the largest CT will take; by case, why it is not even to be read."""
    largest, too_large = 0, {}
    for case, path in cases:
        if (header := read_header(path)) is None:
            continue
        needed = _needed(predictor, header)
        largest = max(largest, needed)
        if limit_gib is None and held_bytes() + needed <= total_bytes():
            continue  # there may be more by the time it is worked on
        try:
            require_memory(needed, limit_gib, case)
        except InputError as error:
            too_large[case] = error
    progress(f"{len(cases)} CT(s); {describe_memory(largest, limit_gib)}")
    return too_large


def _write(labels: sitk.Image, report: dict[str, Any], job: _Job, key: dict[str, Any]) -> str:
    """Write both files of a case; returns the line that says so."""
    with replacing(job.labels) as temporary:
        sitk.WriteImage(labels, str(temporary), True)
    write_json(job.report, {**report, "sha256": {**key, "output": file_hash(job.labels)}})
    return _line(report)


def _ending(path: Path) -> str:
    return next((e for e in (".nii.gz", ".nrrd", ".mha") if path.name.lower().endswith(e)), ".nii.gz")


def _is_finished(labels: Path, report: Path, key: dict[str, Any]) -> bool:
    if not labels.is_file() or not report.is_file():
        return False
    try:
        recorded = read_json(report).get("sha256", {})
    except MissingArtifactError:
        return False
    return recorded == {**key, "output": file_hash(labels)}


def _line(report: dict[str, Any]) -> str:
    counts: dict[str, int] = {}
    for organ in report["organs"].values():
        counts[organ["status"]] = counts.get(organ["status"], 0) + 1
    text = ", ".join(f"{count} {status.replace('_', ' ')}" for status, count in counts.items())
    warnings = "".join(f"\n  warning: {warning}" for warning in report["warnings"])
    return f"  {report['case']}: {text} in {sum(report['seconds'].values()):.1f} s{warnings}"
