"""One CT after the other: networks run on one while the next is prepared and the last is exported."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import SimpleITK as sitk

from soars_nnunet.cascade.ct_hash import ct_hash
from soars_nnunet.cascade.image_file import write_image
from soars_nnunet.cascade.lock import BusyError, Lock, holder, take
from soars_nnunet.cascade.storage import file_hash, write_json
from soars_nnunet.errors import InputError
from soars_nnunet.images.ct import read_ct
from soars_nnunet.images.header import require_header
from soars_nnunet.images.label_names import embed_label_names
from soars_nnunet.images.network_frame import Scan
from soars_nnunet.images.nifti_affines import carry_affines
from soars_nnunet.prediction.device_memory import retry_out_of_memory
from soars_nnunet.prediction.finished import is_finished
from soars_nnunet.prediction.inferred import Inference
from soars_nnunet.prediction.memory_limits import available_bytes
from soars_nnunet.prediction.memory_plan import MemoryPlan, require_memory
from soars_nnunet.prediction.output_folder import replaced_hash, require_own
from soars_nnunet.prediction.predictor import CascadePredictor
from soars_nnunet.prediction.stale import note_stale
from soars_nnunet.progress import Progress

logger = logging.getLogger(__name__)

Done = TypeVar("Done")

FOREVER = float("inf")
"""Seconds to wait for another run, which ends some time; its lock ends with it."""


@dataclass(frozen=True)
class Job:
    """A CT and the files that are made of it.

    Attributes:
        title: Announces it.
        case: Case name.
        ct: Its file.
        labels: File of its label volume.
        report: JSON beside it.
    """

    title: str
    case: str
    ct: Path
    labels: Path
    report: Path

    @property
    def lock(self) -> Path:
        """File of the lock that a run holds while it predicts the case."""
        return self.labels.with_name(f".{self.case}.lock")


@dataclass(frozen=True)
class Prepared:
    """A CT for the networks.

    Attributes:
        key: What its result depends on.
        scan: The CT, None where a verified result exists.
    """

    key: dict[str, Any]
    scan: Scan | None


@dataclass(frozen=True)
class Inferred:
    """What the networks found in a CT, and what the result depends on."""

    key: dict[str, Any]
    inference: Inference


@dataclass(frozen=True)
class Export:
    """Files that are being written; the result is the line that says so."""

    job: Job
    line: Future[str]


class Pending(Protocol):
    """A CT that is being prepared, or will be when it is asked for."""

    def result(self) -> Prepared:
        """Wait for it, or prepare it now."""


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
        busy: Cases that another run was predicting when their turn came; they are looked at again in the end.
        waits: Whether it is at those.
        locks: By case, of those that are being prepared, inferred or written.
    """

    predictor: CascadePredictor
    memory: MemoryPlan
    common: dict[str, Any]
    overwrite: bool
    progress: Progress
    lone: sitk.Image | None = None
    failed: dict[str, str] = field(default_factory=dict)
    busy: list[Job] = field(default_factory=list)
    waits: bool = False
    locks: dict[str, Lock] = field(default_factory=dict)

    def run(self, jobs: Sequence[Job]) -> None:
        """Every job, one after the other; raises nothing. A case that another run predicts is waited for in the end."""
        try:
            self._run(jobs)
            self.waits = True
            for job in self.busy:
                self.progress(f"{job.title}: waits for {holder(job.lock)}")
                self.locks[job.case] = take(job.lock, job.case, FOREVER)
                self._run([job])
        finally:
            for lock in self.locks.values():
                lock.release()

    def _run(self, jobs: Sequence[Job]) -> None:
        """Jobs: prepared and exported beside the networks' work on others where there is room."""
        beside = self.memory.side_by_side
        with ThreadPoolExecutor(1) as preparer, ThreadPoolExecutor(1) as exporter:

            def prepare(job: Job) -> Pending:
                if beside:
                    return preparer.submit(self.prepare, job)
                return _Later(partial(self.prepare, job))

            upcoming = deque([prepare(jobs[0])])
            exporting: list[Export] = []
            for index, job in enumerate(jobs):
                if index + 1 < len(jobs):
                    upcoming.append(prepare(jobs[index + 1]))
                # the CT is held by nobody else, so that it is let go
                done = self.attempt(job, partial(self.infer, job, upcoming.popleft(), exporting))
                self.finish(exporting)
                if done:
                    exporting.append(Export(job, exporter.submit(self.export, job, done)))
                    done = None
                if not beside:
                    self.finish(exporting)
            self.finish(exporting)

    def attempt(self, job: Job, step: Callable[[], Done]) -> Done | None:
        """Result of a step; None, noted and said, if it fails, by whatever: the other cases go on."""
        try:
            return step()
        except BusyError:
            self.busy.append(job)
            return None
        except Exception as error:
            logger.debug(job.case, exc_info=True)
            refused = isinstance(error, InputError)
            text = " ".join(str(error).split()) + note_stale(job.ct, job.labels, job.report)
            self.failed[job.case] = text if refused else f"{job.case}: {type(error).__name__}: {text}"
            self.progress(f"  {'refused' if refused else 'failed'}: {self.failed[job.case]}")
            self._release(job)
            return None

    def _release(self, job: Job) -> None:
        """Let other runs have a case."""
        lock = self.locks.pop(job.case, None)
        if lock is not None:
            lock.release()

    def prepare(self, job: Job) -> Prepared:
        """What a result depends on, and the CT unless a verified result exists.

        Raises:
            InputError: If the CT is unusable or too large, or a file that no prediction wrote is in the way.
            BusyError: If another run predicts it.
        """
        if job.case not in self.locks:
            self.locks[job.case] = take(job.lock, job.case)
        header = require_header(job.ct)  # what has no end is not to be hashed
        key = {"input": ct_hash(job.ct), **self.common}
        # what was waited for is new
        if (self.waits or not self.overwrite) and is_finished(job.labels, job.report, key):
            return Prepared(key, None)
        require_own(job.labels, job.report, self.common.get("organs", ()), overwrite=self.overwrite)
        self.memory.require(job.case)
        image = read_ct(job.ct) if self.lone is None else self.lone
        return Prepared(key, Scan.of(image, job.case, header.notes))

    def infer(self, job: Job, preparing: Pending, exporting: list[Export]) -> Inferred | None:
        """What the networks find; None where a verified result exists.

        Args:
            job: To be inferred.
            preparing: Its CT.
            exporting: What is written meanwhile; waited for, and emptied, where memory does not hold both.

        Raises:
            InputError: If there is too little memory; and what ``prepare`` raises.
        """
        prepared = preparing.result()
        scan = prepared.scan
        if scan is None:
            self.progress(f"{job.title}: finished already, verified")
            self._release(job)
            return None
        self.progress(job.title)
        if exporting and self.memory.further(job.case, exporting[0].job.case) > available_bytes():
            self.finish(exporting)
        if not exporting:
            require_memory(self.memory.further(job.case), None, job.case)

        def infer_alone() -> Inference:
            self.finish(exporting)  # which may hold what is missing on a GPU
            return self._found(scan)

        found = retry_out_of_memory(partial(self._found, scan), infer_alone, can_help=bool(exporting))
        return Inferred(prepared.key, found)

    def _found(self, scan: Scan) -> Inference:
        """What the networks find, without what the export does not need."""
        inference = self.predictor.infer(scan)
        inference.heatmaps = None
        return inference

    def export(self, job: Job, done: Inferred) -> str:
        """Make labels and report and write both; returns the line that says so."""
        try:
            return self._export(job, done)
        finally:
            self._release(job)

    def _export(self, job: Job, done: Inferred) -> str:
        labels, report = self.predictor.export(done.inference)

        def vouch(written: Path) -> None:
            key = {**done.key, "output": file_hash(written)}
            # before the labels: those without a report that vouches for them are taken for somebody else's
            write_json(job.report, {**report.to_json(), **replaced_hash(job.labels), "sha256": key})

        def complete(written: Path) -> None:
            carry_affines(written, job.ct)
            embed_label_names(written, report.labels)

        read = read_ct if require_header(job.ct).is_sheared else None
        write_image(labels, job.labels, vouch, finish=complete, read=read)
        return report.summary()

    def finish(self, exporting: list[Export]) -> None:
        """Wait for files and say what is in them."""
        while exporting:
            export = exporting.pop()
            line = self.attempt(export.job, export.line.result)
            for part in line.split("\n") if line else ():
                self.progress(part)


class _Later:
    """A CT that is prepared when it is asked for, once."""

    def __init__(self, prepare: Callable[[], Prepared]) -> None:
        self._prepare = prepare

    def result(self) -> Prepared:
        """Prepare it."""
        return self._prepare()
