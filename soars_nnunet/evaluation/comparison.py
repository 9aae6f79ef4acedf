"""Several finished evaluations against each other: aligned, tested in pairs, and written as tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soars_nnunet.cascade.storage import provenance
from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.alignment import align
from soars_nnunet.evaluation.comparison_tables import comparison_tables
from soars_nnunet.evaluation.evaluation_file import read_evaluation
from soars_nnunet.evaluation.metrics import METRICS
from soars_nnunet.evaluation.paired_tests import PairedRow, paired_rows
from soars_nnunet.evaluation.paper_tables import paper_tables
from soars_nnunet.evaluation.ranking import winners
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.evaluation.tables import render
from soars_nnunet.evaluation.text_files import as_dicts, csv_text, write_texts


@dataclass(frozen=True)
class Comparison:
    """Methods that were compared.

    Attributes:
        paths: File or folder of each method, by its name.
        methods: Evaluation by method, reduced to what all of them have.
        pairs: Every other method tested against the first.
    """

    paths: Mapping[str, Path]
    methods: Mapping[str, Evaluation]
    pairs: tuple[PairedRow, ...]


def compare_methods(paths: Mapping[str, Path]) -> Comparison:
    """Compare finished evaluations; each is tested against the first.

    Args:
        paths: ``evaluation.json``, its folder, or ``detections.csv``, by name of the method; two or more.

    Raises:
        InputError: If there are fewer than two, a file is no evaluation, or they have nothing in common.
    """
    if len(paths) < 2:
        raise InputError(f"--compare: expected two methods or more, got {len(paths)}")
    evaluations = {name: read_evaluation(path) for name, path in paths.items()}
    methods = align(evaluations)
    first, *others = methods
    pairs = []
    for other in others:
        pairs += paired_rows(methods, first, other)
    return Comparison(paths, methods, tuple(pairs))


def format_comparison(comparison: Comparison) -> str:
    """Markdown of the tables that say most: the first of the paper's, the first two of the comparison's."""
    tables = paper_tables(comparison.methods)[:1] + comparison_tables(comparison.methods, comparison.pairs)[:2]
    return "\n\n".join(table.markdown() for table in tables)


def write_comparison(comparison: Comparison, output: Path) -> list[Path]:
    """Write a comparison in four forms: ``comparison.csv`` (a row a test), ``.json``, ``.md`` and ``.tex``.

    Args:
        comparison: What to write.
        output: Folder; made if it does not exist.

    Returns:
        The paths, CSV first, JSON second.

    Raises:
        InputError: If the folder cannot be written, or holds such files of another origin.
    """
    tables = paper_tables(comparison.methods) + comparison_tables(comparison.methods, comparison.pairs)
    texts = {"csv": csv_text(PairedRow, comparison.pairs), **render(tables)}
    return write_texts(output, "comparison", texts, _document(comparison))


def _document(comparison: Comparison) -> dict[str, Any]:
    """JSON-able form, with summaries and versions."""
    per_tier = {}
    per_organ = {}
    for name, evaluation in comparison.methods.items():
        per_tier[name] = as_dicts(evaluation.per_tier())
        per_organ[name] = as_dicts(evaluation.per_organ())
    first = next(iter(comparison.methods.values()))
    return {
        "provenance": provenance(),
        "methods": {name: str(path) for name, path in comparison.paths.items()},
        "cases": first.cases(),
        "winners": {metric: winners(comparison.methods, metric) for metric in METRICS},
        "per_tier": per_tier,
        "per_organ": per_organ,
        "paired": as_dicts(comparison.pairs),
    }
