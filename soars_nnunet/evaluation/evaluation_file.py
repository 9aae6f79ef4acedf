"""The file ``evaluation.json``: the one place that writes and reads it."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.storage import read_user_json
from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.evaluation_checks import LARGEST, check_document, repeated
from soars_nnunet.evaluation.metrics import METRICS
from soars_nnunet.evaluation.organ_scores import SCORED, OrganScore
from soars_nnunet.evaluation.organ_table import organ_table
from soars_nnunet.evaluation.paper_tables import paper_tables
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.evaluation.tables import render
from soars_nnunet.evaluation.text_files import as_dicts, csv_text, write_texts
from soars_nnunet.schemas.fault import FaultError
from soars_nnunet.schemas.node import checked
from soars_nnunet.schemas.printable import as_typed, printable

FILE_NAME = "evaluation.json"

DETECTIONS = "detections.csv of soars-channels"

AGAIN = "run soars-evaluate again"
"""What to do about a file of another form."""

CHANNELS_AGAIN = "run soars-channels again"


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
        InputError: If the folder cannot be written, or holds such files of another origin, or edited ones.
    """
    tables = [organ_table(evaluation), *paper_tables({"prediction": evaluation})]
    texts = {"csv": csv_text(OrganScore, evaluation.scores), **render(tables)}
    return write_texts(Path(output), stem, texts, to_document(evaluation))


def to_document(evaluation: Evaluation) -> dict[str, Any]:
    """JSON-able form of an evaluation, with summaries and the version."""
    document: dict[str, Any] = {"provenance": {"package": "soars_nnunet", "version": evaluation.version}}
    document.update(asdict(evaluation))
    del document["version"]  # in the provenance
    del document["metrics"]  # each score says which it has
    document["per_organ"] = as_dicts(evaluation.per_organ())
    document["per_tier"] = as_dicts(evaluation.per_tier())
    document["per_target"] = {}
    for target, summaries in evaluation.per_target().items():
        document["per_target"][target] = {metric: asdict(summary) for metric, summary in summaries.items()}
    return document


def find_evaluation(path: Path) -> Path:
    """File of an evaluation.

    Args:
        path: The file, or a folder that holds ``evaluation.json``.

    Raises:
        InputError: If there is no such file.
    """
    file = path / FILE_NAME if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{path}: expected an {FILE_NAME}, its folder or a detections.csv; run soars-evaluate")
    return file


def read_evaluation(path: Path) -> Evaluation:
    """Read what soars-evaluate or soars-cross-validate wrote, or the detections that soars-channels scored.

    Args:
        path: ``evaluation.json``, a folder that holds it, or a ``detections.csv`` (then there are only targets).

    Returns:
        The evaluation; summaries are computed anew. Files of earlier versions lack some metrics, targets and
        names; metrics that this version does not know are passed over.

    Raises:
        InputError: If there is no such file, or it is something else.
    """
    file = find_evaluation(path)
    if file.suffix == ".csv":
        return _read_detections(file)
    document = read_user_json(file, "evaluation", AGAIN)
    try:
        checked(document, str(file), check_document, advice=AGAIN)
    except FaultError as fault:
        raise InputError(str(fault)) from fault
    return _from_document(document)


def _from_document(document: dict[str, Any]) -> Evaluation:
    rows = document["scores"]
    scores = [_organ_score(row) for row in rows]
    targets = [_target_score(row) for row in document.get("targets", ())]
    provenance = document.get("provenance") or {}
    measured = tuple(metric for metric in METRICS if not rows or metric in rows[0])
    return Evaluation(
        scores=tuple(scores),
        profile=document.get("profile") or "",
        prediction=document.get("prediction") or "",
        reference=document.get("reference") or "",
        unknown_in_prediction=tuple(document.get("unknown_in_prediction", ())),
        unknown_in_reference=tuple(document.get("unknown_in_reference", ())),
        not_predictable=tuple(document.get("not_predictable", ())),
        predictions_without_reference=tuple(document.get("predictions_without_reference", ())),
        references_without_prediction=tuple(document.get("references_without_prediction", ())),
        targets=tuple(targets),
        paper_names=dict(document.get("paper_names", {})),
        empty_means_absent=document.get("empty_means_absent", False),
        metrics=measured,
        version=provenance.get("version", ""),
        unusable=tuple(document.get("unusable", ())),
        warnings=tuple(document.get("warnings", ())),
        sha256=dict(document.get("sha256", {})),
    )


def _organ_score(row: Mapping[str, Any]) -> OrganScore:
    return OrganScore(
        case=row["case"],
        organ=row["organ"],
        tier=row["tier"],
        status=row["status"],
        dsc=row.get("dsc"),
        hd_mm=row.get("hd_mm"),
        asd_mm=row.get("asd_mm"),
        reference_ml=row.get("reference_ml") or 0.0,
        predicted_ml=row.get("predicted_ml") or 0.0,
        hd95_mm=row.get("hd95_mm"),
        surface_dsc=row.get("surface_dsc"),
        volume_error=row.get("volume_error"),
    )


def _target_score(row: Mapping[str, Any]) -> TargetScore:
    return TargetScore(
        case=row["case"],
        target=row["target"],
        status=row["status"],
        distance_mm=row.get("distance_mm"),
        detected_mm=row.get("detected_mm"),
        hd_mm=row.get("hd_mm"),
    )


def _read_detections(file: Path) -> Evaluation:
    """Scores of what soars-channels scored: the centres that were found, and the heat maps.

    Raises:
        InputError: If the file is something else.
    """
    try:
        rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    except (csv.Error, ValueError) as error:  # also text that is not UTF-8
        raise InputError(f"{file}: expected the {DETECTIONS}, got no table ({error}); {CHANNELS_AGAIN}") from error
    scores = []
    for number, row in enumerate(rows, 2):
        scores.append(_detection(row, f"{file}, line {number}"))
    twice = repeated([(score.case, score.target) for score in scores])
    if twice:
        raise InputError(f"{file}: expected every target of a case once, got {twice[0]} again; {CHANNELS_AGAIN}")
    return Evaluation((), targets=tuple(scores))


def _detection(row: Mapping[str, str], where: str) -> TargetScore:
    numbers = {}
    for key in ("distance_mm", "hd_mm"):
        try:
            numbers[key] = float(row[key])
        except (KeyError, TypeError, ValueError):
            numbers[key] = math.nan
    names = (row.get("case"), row.get("target"))
    if not all(names) or not all(0 <= number <= LARGEST for number in numbers.values()):
        raise InputError(
            f"{where}: expected case, target, distance_mm and hd_mm of the {DETECTIONS}, got "
            f"{printable(str(dict(row)))}; {CHANNELS_AGAIN}"
        )
    return TargetScore(
        case=as_typed(row["case"]),
        target=as_typed(row["target"]),
        status=SCORED,
        distance_mm=None,
        detected_mm=numbers["distance_mm"],
        hd_mm=numbers["hd_mm"],
    )
