"""One CT after the other: networks run on one while the next is prepared and the last is exported."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import SimpleITK as sitk
import torch

from soars_nnunet.cascade.storage import file_hash, read_json, replacing, write_json
from soars_nnunet.errors import InputError, MissingArtifactError
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.network_frame import Scan
from soars_nnunet.prediction.inferred import Inference
from soars_nnunet.prediction.memory import MemoryPlan, available_bytes, require_memory
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.progress import Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Job:
    """A CT and the files that are made of it; ``title`` announces it."""

    title: str
    case: str
    ct: Path
    labels: Path
    report: Path


@dataclass
class Succession:
    """Predicts jobs; what becomes of one does not touch the others.

    Attributes:
        predictor: The cascade.
        memory: Whether there is room for three CTs at a time, and for each at all.
        common: What every result depends on beside its CT, by what the reports then call ``sha256``.
        overwrite: Predict again where a verified result exists.
        progress: Receives a line when a job starts, and one when it is done.
        lone: The only CT, if it is read already.
        failed: After ``run``: which cases did not succeed, and why.
    """

    predictor: CascadePredictor
    memory: MemoryPlan
    common: dict[str, Any]
    overwrite: bool
    progress: Progress
    lone: sitk.Image | None = None
    failed: dict[str, str] = field(default_factory=dict)

    def run(self, jobs: Sequence[Job]) -> None:
        """Every job: prepared and exported beside the networks' work on others where there is room; raises nothing."""
        beside = self.memory.side_by_side
        with ThreadPoolExecutor(1) as preparer, ThreadPoolExecutor(1) as exporter:
            start = preparer.submit if beside else _Later
            preparing = start(self.prepare, jobs[0])
            exporting: list[tuple[Job, Future]] = []
            for job, following in zip(jobs, [*jobs[1:], None], strict=True):
                upcoming = start(self.prepare, following) if following else None
                done = self.attempt(job, partial(self.infer, job, preparing, exporting))
                preparing = upcoming  # and the CT is let go
                self.finish(exporting)
                if done:
                    exporting.append((job, exporter.submit(self.export, job, *done)))
                    done = None
                if not beside:
                    self.finish(exporting)
            self.finish(exporting)

    def attempt(self, job: Job, step: Callable[[], Any]) -> Any:
        """Result of a step; None, noted and said, if it fails, by whatever: the other cases go on."""
        try:
            return step()
        except Exception as error:
            logger.debug(job.case, exc_info=True)
            refused = isinstance(error, InputError)
            text = " ".join(str(error).split())
            self.failed[job.case] = text if refused else f"{job.case}: {type(error).__name__}: {text}"
            self.progress(f"  {'refused' if refused else 'failed'}: {self.failed[job.case]}")
            return None

    def prepare(self, job: Job) -> tuple[dict[str, Any], Scan | None]:
        """What a result depends on, and the CT; None for it where a verified result exists.

        Raises:
            InputError: If the CT is unusable or too large.
        """
        key = {"input": file_hash(job.ct), **self.common}
        if not self.overwrite and _is_finished(job.labels, job.report, key):
            return key, None
        self.memory.require(job.case)
        return key, Scan.of(read_ct(job.ct) if self.lone is None else self.lone, job.case)

    def infer(
        self, job: Job, preparing: Future | _Later, exporting: list[tuple[Job, Future]]
    ) -> tuple[dict[str, Any], Inference] | None:
        """What ``prepare`` says and what the networks find; None where a verified result exists.

        Raises:
            InputError: If there is too little memory; and what ``prepare`` raises.
        """
        key, scan = preparing.result()
        if scan is None:
            self.progress(f"{job.title}: finished already, verified")
            return None
        self.progress(job.title)
        if exporting and self.memory.further(job.case, exporting[0][0].case) > available_bytes():
            self.finish(exporting)
        if not exporting:
            require_memory(self.memory.further(job.case), None, job.case)
        try:
            return key, self._found(scan)
        except torch.OutOfMemoryError:
            if not exporting:
                raise
        self.finish(exporting)  # which may hold what is missing on a GPU
        return key, self._found(scan)

    def _found(self, scan: Scan) -> Inference:
        """What the networks find, without what the export does not need."""
        inference = self.predictor.infer(scan)
        inference.heatmaps = None
        return inference

    def export(self, job: Job, key: dict[str, Any], inference: Inference) -> str:
        """Make labels and report and write both; returns the line that says so."""
        labels, report = self.predictor.export(inference)
        with replacing(job.labels) as temporary:
            sitk.WriteImage(labels, str(temporary), True)
        write_json(job.report, {**report, "sha256": {**key, "output": file_hash(job.labels)}})
        return _line(report)

    def finish(self, exporting: list[tuple[Job, Future]]) -> None:
        """Wait for files and say what is in them."""
        while exporting:
            job, future = exporting.pop()
            if line := self.attempt(job, future.result):
                self.progress(line)


class _Later:
    """A call that is made when its result is asked for, once."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.result = partial(call, *arguments)


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
