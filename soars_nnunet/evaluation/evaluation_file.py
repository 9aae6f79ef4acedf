"""The file ``evaluation.json``: the one place that writes and reads it."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.metrics import METRICS
from soars_nnunet.evaluation.organ_scores import SCORED, OrganScore
from soars_nnunet.evaluation.organ_table import organ_table
from soars_nnunet.evaluation.paper_tables import paper_tables
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.evaluation.tables import render
from soars_nnunet.evaluation.text_files import as_dicts, csv_text, write_texts

FILE_NAME = "evaluation.json"


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
    try:
        return (
            _read_detections(file)
            if file.suffix == ".csv"
            else _from_document(read_json(file, "run soars-evaluate again"))
        )
    except KeyError as error:
        raise _not_an_evaluation(file, f"no {error} in it") from error
    except (TypeError, ValueError, AttributeError, json.JSONDecodeError) as error:
        raise _not_an_evaluation(file, str(error)) from error


def _not_an_evaluation(file: Path, problem: str) -> InputError:
    return InputError(
        f"{file}: expected the {FILE_NAME} of soars-evaluate or the detections.csv of soars-channels, got a file with "
        f"a problem ({problem}); evaluate again"
    )


def _from_document(document: Any) -> Evaluation:
    if not isinstance(document, dict):
        raise TypeError(f"a JSON {type(document).__name__}, not an object")
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
        warnings=tuple(document.get("warnings", ())),
        sha256=dict(document.get("sha256", {})),
    )


def _organ_score(row: Mapping[str, Any]) -> OrganScore:
    return OrganScore(
        case=_text(row, "case"),
        organ=_text(row, "organ"),
        tier=_text(row, "tier"),
        status=_text(row, "status"),
        dsc=_number(row, "dsc"),
        hd_mm=_number(row, "hd_mm"),
        asd_mm=_number(row, "asd_mm"),
        reference_ml=_number(row, "reference_ml") or 0.0,
        predicted_ml=_number(row, "predicted_ml") or 0.0,
        hd95_mm=_number(row, "hd95_mm"),
        surface_dsc=_number(row, "surface_dsc"),
        volume_error=_number(row, "volume_error"),
    )


def _target_score(row: Mapping[str, Any]) -> TargetScore:
    return TargetScore(
        case=_text(row, "case"),
        target=_text(row, "target"),
        status=_text(row, "status"),
        distance_mm=_number(row, "distance_mm"),
        detected_mm=_number(row, "detected_mm"),
        hd_mm=_number(row, "hd_mm"),
    )


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} {value!r} is no text")
    return value


def _number(row: Mapping[str, Any], key: str) -> float | None:
    """A number, or None where the row has none."""
    value = row.get(key)
    if value is not None and type(value) not in (int, float):
        raise TypeError(f"{key} {value!r} is no number")
    return value


def _read_detections(file: Path) -> Evaluation:
    rows = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    return Evaluation((), targets=_detected(list(rows)))


def _detected(rows: Sequence[Mapping[str, str]]) -> tuple[TargetScore, ...]:
    """Scores of what soars-channels scored: the centres that were found, and the heat maps."""
    scores = []
    for row in rows:
        score = TargetScore(
            case=row["case"],
            target=row["target"],
            status=SCORED,
            distance_mm=None,
            detected_mm=float(row["distance_mm"]),
            hd_mm=float(row["hd_mm"]),
        )
        scores.append(score)
    return tuple(scores)
