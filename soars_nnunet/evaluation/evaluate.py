"""``soars-evaluate``: scores per organ, tier and detection target over folders of label volumes.

Pairs prediction and reference files, checks that each pair lies on one grid, scores it
(metrics.py, centers.py) and summarises (scores.py, tables.py). Axes: (Z, Y, X), mm.
"""

from __future__ import annotations

import csv
import io
import json
import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, fields
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from soars_nnunet.cascade.not_annotated import read_unannotated
from soars_nnunet.evaluation.centers import TargetScore, reported_centers_mm, score_targets
from soars_nnunet.evaluation.metrics import OrganScore, label_volume, resolve_labels, score_case
from soars_nnunet.evaluation.scores import Evaluation, Summary
from soars_nnunet.evaluation.tables import organ_table, paper_tables, render
from soars_nnunet.images.label_map import check_same_grid, read_label_map
from soars_nnunet.profile import Profile
from soars_nnunet.progress import Progress, silent

logger = logging.getLogger(__name__)

ENDINGS = (".nii.gz", ".nrrd", ".mha", ".nii")
"""Endings of label files; a case's name is the file name without it."""

_Scored = tuple[list[OrganScore], list[TargetScore], float]
"""Organs, targets and seconds of a case."""


@dataclass(frozen=True)
class _Job:
    """One case on its way to a worker."""

    case: str
    prediction: Path
    reference: Path
    profile: Profile
    labels_p: dict[str, int] | None
    labels_r: dict[str, int] | None
    undrawn: tuple[str, ...]
    empty_means_absent: bool


def evaluate_folders(
    prediction: Path,
    reference: Path,
    profile: Profile,
    prediction_labels: Path | None = None,
    reference_labels: Path | None = None,
    progress: Progress = silent,
    allow_missing: bool = False,
    unannotated: Path | None = None,
    empty_means_absent: bool = False,
    num_processes: int = 1,
) -> Evaluation:
    """Evaluate label files against references of the same name.

    Label names come from ``prediction_labels`` and ``reference_labels``, else from ``dataset.json`` in
    the folder (for the reference also in its parent, as in a raw nnU-Net dataset), else they are the profile's.

    Args:
        prediction: Folder, or one file (then only its case is evaluated).
        reference: Folder, or one file.
        profile: Organs to score.
        prediction_labels: JSON with ``labels`` (nnU-Net's dataset.json) of the prediction.
        reference_labels: The same of the reference.
        progress: Called after each case with ``"2/10 case 1.3 s"``.
        allow_missing: Accept references without prediction and list them.
        unannotated: JSON of organs by case that nobody drew in the reference (see ``read_unannotated``).
        empty_means_absent: Organs of the reference's list without a voxel are truly absent.
        num_processes: Cases scored at a time, each in a process of its own above 1.

    Returns:
        Scores of every pair, and what was left out.

    Raises:
        ValueError: If there is no pair, a reference has no prediction, a file cannot be read or holds no
            labels, a pair lies on two grids, label names contradict each other, or a worker dies.
    """
    pairs, extra, missing = _pair_cases(Path(prediction), Path(reference), allow_missing)
    labels_p = _labels_of(Path(prediction), prediction_labels, "prediction", parent=False)
    labels_r = _labels_of(Path(reference), reference_labels, "reference", parent=True)
    values_p, unknown_p = resolve_labels(labels_p, profile)
    unknown_r = resolve_labels(labels_r, profile)[1]
    not_predictable = tuple(organ.name for organ in profile.organs if organ.name not in values_p)
    listed = read_unannotated(unannotated, profile, None) if unannotated else {}
    jobs = [
        _Job(case, p, r, profile, labels_p, labels_r, tuple(listed.get(case, ())), empty_means_absent)
        for case, p, r in pairs
    ]
    scores: list[OrganScore] = []
    targets: list[TargetScore] = []
    for number, (job, (organ_scores, target_scores, seconds)) in enumerate(_score_all(jobs, num_processes), 1):
        scores += organ_scores
        targets += target_scores
        progress(f"{number}/{len(jobs)} {job.case} {seconds:.1f} s")
    left_out = (unknown_p, unknown_r, not_predictable, extra, missing)
    evaluation = Evaluation(
        tuple(scores),
        profile.name,
        str(prediction),
        str(reference),
        *left_out,
        targets=tuple(targets),
        paper_names={organ.name: organ.paper_name for organ in profile.organs},
        empty_means_absent=empty_means_absent,
    )
    _warn_left_out(evaluation)
    return evaluation


def write_evaluation(evaluation: Evaluation, output: Path, stem: str = "evaluation") -> list[Path]:
    """Write an evaluation in four forms.

    ``<stem>.csv`` has a row per case and organ, ``<stem>.json`` rows, summaries and provenance, ``<stem>.md``
    and ``<stem>.tex`` the tables. Each file is written under a temporary name and then renamed. None is an
    empty cell or ``null``.

    Args:
        evaluation: What to write; without scores the CSV has only its header.
        output: Folder; made if it does not exist.
        stem: File name without ending.

    Returns:
        The paths, CSV first, JSON second.

    Raises:
        ValueError: If the folder cannot be written.
    """
    table = csv_text(OrganScore, evaluation.scores)
    document = json.dumps(evaluation.to_dict(), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    tables = [organ_table(evaluation), *paper_tables({"prediction": evaluation})]
    return write_texts(Path(output), stem, {"csv": table, "json": document, **render(tables)})


def csv_text(kind: type, rows: Sequence[Any]) -> str:
    """CSV with a column per field of a dataclass and a row per instance; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [entry.name for entry in fields(kind)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def write_texts(output: Path, stem: str, contents: Mapping[str, str]) -> list[Path]:
    """Write texts by ending into a folder, each under a temporary name first.

    Raises:
        ValueError: If the folder cannot be written.
    """
    paths = []
    try:
        output.mkdir(parents=True, exist_ok=True)
        for ending, content in contents.items():
            path = output / f"{stem}.{ending}"
            temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            temporary.write_text(content, encoding="utf-8", newline="")
            os.replace(temporary, path)
            paths.append(path)
    except OSError as error:
        raise ValueError(f"expected a folder to write to, got {output} ({error}); choose another output") from error
    return paths


def format_table(evaluation: Evaluation) -> str:
    """Plain-text table: a row an organ, a rule, a row a tier; only the header without scores.

    ``n`` is the number of cases (organs in the tiers' rows) in the mean DSC.
    """
    rows = [("organ", "n", "DSC", "HD mm", "ASD mm", "HD95 mm", "surf. DSC", "vol. %", "missed", "no ref.", "extra")]
    organs = evaluation.per_organ()
    for row in (*organs, *evaluation.per_tier()):
        cells = (_cell(row.dsc, 3), _cell(row.hd_mm, 2), _cell(row.asd_mm, 2))
        more = (_cell(row.hd95_mm, 2), _cell(row.surface_dsc, 3), _cell(row.volume_error, 1, 100))
        counts = map(str, (row.missed, row.not_in_reference, row.extra))
        rows.append((row.name, str(row.dsc.n), *cells, *more, *counts))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join([lines[0], rule, *lines[1 : len(organs) + 1], rule, *lines[len(organs) + 1 :]])


def _warn_left_out(evaluation: Evaluation) -> None:
    for text, names in (
        ("label names of the prediction that the profile does not know", evaluation.unknown_in_prediction),
        ("label names of the reference that the profile does not know", evaluation.unknown_in_reference),
        ("organs without a label in the prediction's list, missed where present", evaluation.not_predictable),
        ("predictions without reference, left out", evaluation.predictions_without_reference),
        ("references without prediction, left out", evaluation.references_without_prediction),
    ):
        if names:
            logger.warning("%s: %s", text, ", ".join(names))


def _cell(summary: Summary, digits: int, scale: float = 1.0) -> str:
    if summary.mean is None:
        return "-"
    spread = "" if summary.std is None else f" ± {summary.std * scale:.{digits}f}"
    return f"{summary.mean * scale:.{digits}f}{spread}"


def _score_all(jobs: Sequence[_Job], num_processes: int) -> Iterator[tuple[_Job, _Scored]]:
    """Score the cases, in order, as they are done."""
    if num_processes < 1:
        raise ValueError(f"expected at least one process, got {num_processes}")
    if min(num_processes, len(jobs)) == 1:
        yield from ((job, _score_job(job)) for job in jobs)
        return
    with ProcessPoolExecutor(min(num_processes, len(jobs)), get_context("spawn")) as pool:
        try:
            yield from zip(jobs, pool.map(_score_job, jobs), strict=True)
        except BrokenProcessPool as error:
            raise ValueError("a worker died, perhaps for want of memory; use fewer processes") from error
        finally:
            pool.shutdown(cancel_futures=True)


def _score_job(job: _Job) -> _Scored:
    """Organs and targets of one case, and the seconds that took."""
    started = time.perf_counter()
    predicted, referenced, header = _read_pair(job.prediction, job.reference)
    spacing_mm = header.GetSpacing()[::-1]
    common = (job.profile, job.labels_p, job.labels_r, job.undrawn)
    scores = score_case(job.case, predicted, referenced, spacing_mm, *common, job.empty_means_absent)
    detected = reported_centers_mm(job.prediction.with_name(f"{_case_name(job.prediction)}.json"), header)
    targets = score_targets(job.case, predicted, referenced, spacing_mm, *common, detected)
    return scores, targets, time.perf_counter() - started


def _case_name(path: Path) -> str | None:
    return next((path.name[: -len(ending)] for ending in ENDINGS if path.name.endswith(ending)), None)


def _list_cases(path: Path, what: str) -> dict[str, Path]:
    if not path.exists():
        raise ValueError(f"{what}: expected a folder or a label file, got {path}, which does not exist; check the path")
    cases: dict[str, Path] = {}
    for file in [path] if path.is_file() else sorted(path.iterdir()):
        case = _case_name(file)
        if not case or file.name.startswith(".") or not file.is_file():
            continue
        if case in cases:
            raise ValueError(f"{what}: expected one file per case, got {cases[case].name} and {file.name}; remove one")
        cases[case] = file
    if not cases:
        raise ValueError(f"{what}: expected label files ({', '.join(ENDINGS)}), got none in {path}; check the path")
    return cases


def _pair_cases(
    prediction: Path, reference: Path, allow_missing: bool
) -> tuple[list[tuple[str, Path, Path]], tuple[str, ...], tuple[str, ...]]:
    """Pairs (case, prediction, reference), then predictions and references that have no partner."""
    predicted, referenced = _list_cases(prediction, "prediction"), _list_cases(reference, "reference")
    if prediction.is_file() and reference.is_file():
        case, path = next(iter(predicted.items()))
        return [(case, path, next(iter(referenced.values())))], (), ()
    pairs = [(case, path, referenced[case]) for case, path in predicted.items() if case in referenced]
    if not pairs:
        raise ValueError(
            f"expected predictions and references of the same name, got {len(predicted)} in {prediction} (such as "
            f"'{next(iter(predicted))}') and {len(referenced)} in {reference} (such as '{next(iter(referenced))}'); "
            "rename the files"
        )
    extra = tuple(case for case in predicted if case not in referenced)
    missing = () if prediction.is_file() else tuple(case for case in referenced if case not in predicted)
    if missing and not allow_missing:
        raise ValueError(
            f"expected a prediction for each reference, got none in {prediction} for {', '.join(missing)}; "
            "predict them, or allow missing predictions"
        )
    return pairs, extra, missing


def _labels_of(path: Path, explicit: Path | None, what: str, parent: bool) -> dict[str, int] | None:
    """Label value by name for a folder of label files; None if nothing says so."""
    folder = (path.parent if path.is_file() else path).resolve()
    candidates = [folder / "dataset.json", *([folder.parent / "dataset.json"] if parent else [])]
    file = Path(explicit) if explicit else next((c for c in candidates if c.is_file()), None)
    if file is None:
        logger.info("%s: no dataset.json beside %s; assuming the profile's own labels", what, path)
        return None
    try:
        data: Any = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{what} labels: expected a JSON file, got {file} ({error}); check the path") from error
    labels = data.get("labels") if isinstance(data, dict) else None
    if not isinstance(labels, dict) or not all(type(value) is int and value >= 0 for value in labels.values()):
        raise ValueError(
            f'{what} labels: expected {{"labels": {{"background": 0, name: integer, ...}}}}, got something else in '
            f"{file}; regions and nnU-Net v1's inverted lists are not supported, write a file and name it"
        )
    logger.info("%s: label names from %s", what, file)
    return labels


def _read_pair(prediction: Path, reference: Path) -> tuple[np.ndarray, np.ndarray, sitk.Image]:
    """Both label arrays (Z, Y, X), 8 or 16 bit, and an image of one voxel that has the reference's geometry."""
    arrays = []
    for path in (prediction, reference):
        image = read_label_map(path)
        if path is prediction:
            check_same_grid(image, reference, str(prediction))
        arrays.append(label_volume(sitk.GetArrayViewFromImage(image), str(path)).copy())
        header = image[:1, :1, :1]
        del image  # 32 bit, so a third of a gigabyte at 512 x 512 x 360
    return *arrays, header
