"""``soars-evaluate``: a folder against its references, or scored methods against each other."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from soars_nnunet.cli.command import make_main, say, say_text
from soars_nnunet.cli.option_values import processes, to_path
from soars_nnunet.cli.options import add_not_annotated
from soars_nnunet.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of both uses."""
    parser.add_argument("-p", "--prediction", type=to_path, help="predicted label file, or a folder of them")
    parser.add_argument(
        "-r", "--reference", type=to_path, help="reference label file, or a folder of files of the same names"
    )
    parser.add_argument(
        "--compare",
        nargs="+",
        metavar="NAME=PATH",
        help="in place of -p and -r: methods that were scored, each as evaluation.json, its folder, or detections.csv; "
        "every method is tested against the first",
    )
    parser.add_argument(
        "-o", "--output", type=to_path, help="folder for the tables (default: the prediction's; needed with --compare)"
    )
    parser.add_argument(
        "--profile",
        help="the organs: a profile or its JSON file (default: that of the prediction's dataset.json, or the one that "
        "knows the organs that both label lists name)",
    )
    parser.add_argument(
        "--prediction-labels", type=to_path, metavar="FILE", help="dataset.json that names the labels of the prediction"
    )
    parser.add_argument(
        "--reference-labels", type=to_path, metavar="FILE", help="dataset.json that names the labels of the reference"
    )
    parser.add_argument("--allow-missing", action="store_true", help="leave out references without a prediction")
    add_not_annotated(parser)
    parser.add_argument(
        "--empty-means-absent",
        action="store_true",
        help="an organ without a voxel in the reference is not in the patient, and to predict it is wrong (default: it "
        "is not annotated, and is left out)",
    )
    parser.add_argument(
        "-np", type=processes, default=2, metavar="N", help="cases at a time, about 1 GB each (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Evaluate or compare; write CSV, JSON, Markdown and LaTeX and print a table."""
    if arguments.compare:
        _compare(arguments)
    elif arguments.prediction is None or arguments.reference is None:
        raise InputError("expected both -p PREDICTION and -r REFERENCE, or --compare NAME=PATH NAME=PATH")
    else:
        _evaluate(arguments)


def _compare(arguments: argparse.Namespace) -> None:
    if arguments.prediction or arguments.reference:
        raise InputError("--compare takes finished evaluations; expected no -p and -r with it")
    if arguments.output is None:
        raise InputError("--compare: expected a folder for the tables; add -o FOLDER")
    paths = _methods(arguments.compare)
    from soars_nnunet.evaluation.comparison import compare_methods, format_comparison, write_comparison

    comparison = compare_methods(paths)
    say_text(format_comparison(comparison))
    _say_written(write_comparison(comparison, arguments.output))


def _methods(entries: Sequence[str]) -> dict[str, Path]:
    """Path by name of the entries ``NAME=PATH``.

    Raises:
        InputError: If one has another form, or two have one name.
    """
    paths: dict[str, Path] = {}
    for entry in entries:
        name, _, path = entry.partition("=")
        if not name or not path or name in paths:
            raise InputError(f"--compare: expected NAME=PATH with a name of its own for each method, got '{entry}'")
        paths[name] = Path(path)
    return paths


def _evaluate(arguments: argparse.Namespace) -> None:
    from soars_nnunet.evaluation.choose_profile import choose_profile
    from soars_nnunet.evaluation.evaluate import EvaluationOptions, evaluate_folders
    from soars_nnunet.evaluation.evaluation_file import write_evaluation
    from soars_nnunet.evaluation.organ_table import format_table

    options = EvaluationOptions(
        prediction_labels=arguments.prediction_labels,
        reference_labels=arguments.reference_labels,
        not_annotated=arguments.not_annotated,
        allow_missing=arguments.allow_missing,
        empty_means_absent=arguments.empty_means_absent,
        num_processes=arguments.np,
    )
    profile = choose_profile(
        arguments.profile,
        arguments.prediction,
        arguments.reference,
        prediction_labels=arguments.prediction_labels,
        reference_labels=arguments.reference_labels,
    )
    evaluation = evaluate_folders(arguments.prediction, arguments.reference, profile, options, progress=say)
    say_text(format_table(evaluation))
    prediction: Path = arguments.prediction
    beside = prediction if prediction.is_dir() else prediction.parent
    _say_written(write_evaluation(evaluation, arguments.output or beside))
    if evaluation.unusable:
        faults = "; ".join(evaluation.unusable)
        raise InputError(f"{len(evaluation.unusable)} case(s) could not be scored: {faults}")


def _say_written(files: Sequence[Path]) -> None:
    for path in files:
        say(f"wrote {path}")


main = make_main("evaluate", add_arguments, run)
