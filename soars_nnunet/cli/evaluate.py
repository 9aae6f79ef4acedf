"""Arguments and course of ``soars-evaluate``; cli.py makes the command of it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from soars_nnunet.errors import InputError
from soars_nnunet.profile import load_profile


def add_evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of both uses: a folder against its references, and methods against each other."""
    parser.add_argument("-p", "--prediction", type=Path, help="label file or folder")
    parser.add_argument("-r", "--reference", type=Path, help="label file or folder")
    parser.add_argument(
        "--compare",
        nargs="+",
        metavar="NAME=PATH",
        help="in place of -p and -r: methods to compare, as evaluation.json, its folder, or detections.csv; each is "
        "tested against the first",
    )
    parser.add_argument(
        "-o", "--output", type=Path, help="folder for the tables (default: the prediction's; needed with --compare)"
    )
    parser.add_argument("--profile", default="hn42", help="profile or its JSON file (default: %(default)s)")
    parser.add_argument("--prediction-labels", type=Path, help="dataset.json of the prediction")
    parser.add_argument("--reference-labels", type=Path, help="dataset.json of the reference")
    parser.add_argument("--allow-missing", action="store_true", help="references without prediction are left out")
    parser.add_argument("--unannotated", type=Path, metavar="FILE", help="JSON: organs by case that nobody drew")
    parser.add_argument(
        "--empty-means-absent",
        action="store_true",
        help="an organ without a voxel in the reference is absent, predicting it wrong (default: not drawn, left out)",
    )
    parser.add_argument("-np", type=int, default=2, help="cases at a time, about 1 GB each (default: %(default)s)")


def run_evaluate(arguments: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Evaluate or compare; write CSV, JSON, Markdown and LaTeX and say a table."""
    if arguments.compare:
        if arguments.prediction or arguments.reference:
            raise InputError("--compare takes finished evaluations; expected no -p and -r with it")
        if arguments.output is None:
            raise InputError("--compare: expected a folder for the tables; add -o FOLDER")
        _compare(arguments.compare, arguments.output, say)
        return
    if arguments.prediction is None or arguments.reference is None:
        raise InputError("expected both -p PREDICTION and -r REFERENCE, or --compare NAME=PATH NAME=PATH")
    from soars_nnunet.evaluation.evaluate import evaluate_folders, format_table, write_evaluation

    evaluation = evaluate_folders(
        arguments.prediction,
        arguments.reference,
        load_profile(arguments.profile),
        arguments.prediction_labels,
        arguments.reference_labels,
        say,
        arguments.allow_missing,
        arguments.unannotated,
        arguments.empty_means_absent,
        arguments.np,
    )
    prediction = arguments.prediction
    say(format_table(evaluation))
    for path in write_evaluation(
        evaluation, arguments.output or (prediction if prediction.is_dir() else prediction.parent)
    ):
        say(f"wrote {path}")


def _compare(entries: list[str], output: Path, say: Callable[[str], None]) -> None:
    from soars_nnunet.cascade.storage import provenance
    from soars_nnunet.evaluation.compare import PairedRow, align, paired_rows, winners
    from soars_nnunet.evaluation.evaluate import csv_text, write_texts
    from soars_nnunet.evaluation.scores import METRICS, read_evaluation
    from soars_nnunet.evaluation.tables import comparison_tables, paper_tables, render

    paths: dict[str, Path] = {}
    for entry in entries:
        name, separator, path = entry.partition("=")
        if not (name and separator and path) or name in paths:
            raise InputError(f"--compare: expected NAME=PATH with a name of its own for each method, got '{entry}'")
        paths[name] = Path(path)
    if len(paths) < 2:
        raise InputError(f"--compare: expected two methods or more, got {len(paths)}")
    aligned = align({name: read_evaluation(path) for name, path in paths.items()})
    first, *others = aligned
    pairs = [row for second in others for row in paired_rows(aligned, first, second)]
    document = {
        "provenance": provenance(),
        "methods": {name: str(path) for name, path in paths.items()},
        "cases": list(dict.fromkeys(s.case for s in (*aligned[first].scores, *aligned[first].targets))),
        "winners": {metric: winners(aligned, metric) for metric in METRICS},
        "per_tier": {name: [asdict(row) for row in e.per_tier()] for name, e in aligned.items()},
        "per_organ": {name: [asdict(row) for row in e.per_organ()] for name, e in aligned.items()},
        "paired": [asdict(row) for row in pairs],
    }
    ending = comparison_tables(aligned, pairs)
    tables = [*paper_tables(aligned), *ending]
    json_text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    texts = {"csv": csv_text(PairedRow, pairs), "json": json_text, **render(tables)}
    say("\n\n".join(table.markdown() for table in (tables[0], *ending[:2])))
    for path in write_texts(output, "comparison", texts):
        say(f"wrote {path}")
