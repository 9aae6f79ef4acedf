"""Methods that were scored on the same cases, compared: the files of ``soars-evaluate --compare``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.storage import provenance
from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.compare import PairedRow, align, paired_rows, winners
from soars_nnunet.evaluation.evaluate import csv_text, write_texts
from soars_nnunet.evaluation.scores import METRICS, Evaluation, read_evaluation
from soars_nnunet.evaluation.tables import comparison_tables, paper_tables, render


@dataclass(frozen=True)
class MethodComparison:
    """What ``compare_methods`` wrote.

    Attributes:
        overview: Markdown of the tables that answer most questions: by tier, who is best, who differs.
        files: ``comparison.csv``, ``.json``, ``.md`` and ``.tex``.
    """

    overview: str
    files: list[Path]


def compare_methods(paths: Mapping[str, Path], output: Path) -> MethodComparison:
    """Compare finished evaluations; each method is tested against the first.

    Args:
        paths: By method: evaluation.json, its folder, or a detections.csv.
        output: Folder for the tables.

    Raises:
        InputError: If there are fewer than two methods, one cannot be read, or they have no case in common.
    """
    if len(paths) < 2:
        raise InputError(f"--compare: expected two methods or more, got {len(paths)}")
    evaluations = {}
    for name, path in paths.items():
        evaluations[name] = read_evaluation(path)
    aligned = align(evaluations)
    pairs = _pairs_with_first(aligned)
    endings = comparison_tables(aligned, pairs)
    tables = paper_tables(aligned) + endings
    texts = {"csv": csv_text(PairedRow, pairs), "json": _json_text(paths, aligned, pairs)}
    texts.update(render(tables))
    shown = [tables[0], *endings[:2]]
    overview = "\n\n".join(table.markdown() for table in shown)
    return MethodComparison(overview, write_texts(output, "comparison", texts))


def _pairs_with_first(aligned: Mapping[str, Evaluation]) -> list[PairedRow]:
    """Rows of every other method against the first."""
    names = list(aligned)
    pairs = []
    for second in names[1:]:
        pairs += paired_rows(aligned, names[0], second)
    return pairs


def _json_text(paths: Mapping[str, Path], aligned: Mapping[str, Evaluation], pairs: list[PairedRow]) -> str:
    """Content of ``comparison.json``."""
    first = next(iter(aligned.values()))
    cases = dict.fromkeys(score.case for score in first.scores)
    cases.update(dict.fromkeys(score.case for score in first.targets))
    document: dict[str, Any] = {
        "provenance": provenance(),
        "methods": {name: str(path) for name, path in paths.items()},
        "cases": list(cases),
        "winners": {metric: winners(aligned, metric) for metric in METRICS},
        "per_tier": {name: _as_dicts(evaluation.per_tier()) for name, evaluation in aligned.items()},
        "per_organ": {name: _as_dicts(evaluation.per_organ()) for name, evaluation in aligned.items()},
        "paired": _as_dicts(pairs),
    }
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def _as_dicts(rows: list[Any]) -> list[dict[str, Any]]:
    return [asdict(row) for row in rows]
