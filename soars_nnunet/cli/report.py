"""``soars-report``: arguments, and which page is written where."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from soars_nnunet.errors import InputError
from soars_nnunet.images.listing import list_cts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``soars-report``."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-e", "--evaluation", type=Path, help="evaluation.json of soars-evaluate, or its folder")
    what.add_argument("-p", "--prediction", type=Path, help="label file or folder of soars-cascade-predict")
    parser.add_argument("-i", "--input", type=Path, help="with -p: the CT, or the folder of CTs, that was segmented")
    text = "HTML file; with a folder of predictions a folder (default: beside evaluation or prediction)"
    parser.add_argument("-o", "--output", type=Path, help=text)
    parser.add_argument("--no-viewer", action="store_true", help="with -p: without the interactive viewer; smaller")


def run(arguments: argparse.Namespace, say: Callable[[str], None]) -> None:
    """Write the report or reports that the arguments ask for; say where, and how large.

    Raises:
        ValueError: If an input is missing or unusable.
    """
    if arguments.evaluation is not None:
        if arguments.input is not None:
            raise InputError("-i: expected with -p only, as an evaluation has no CT; leave it out")
        _report_evaluation(arguments.evaluation, arguments.output, say)
    elif arguments.input is None:
        raise InputError("-p: expected also -i with the CT that was segmented, got none; add -i CT_OR_FOLDER")
    else:
        _report_predictions(arguments.prediction, arguments.input, arguments.output, not arguments.no_viewer, say)


def _report_evaluation(path: Path, output: Path | None, say: Callable[[str], None]) -> None:
    from soars_nnunet.html_report.evaluation import evaluation_page, read_evaluation_json
    from soars_nnunet.html_report.page import write_page

    file = path / "evaluation.json" if path.is_dir() else path
    output = output or file.with_suffix(".html")
    say(f"wrote {output} ({write_page(output, evaluation_page(read_evaluation_json(file))):.1f} MB)")


def _report_predictions(
    prediction: Path, source: Path, output: Path | None, with_viewer: bool, say: Callable[[str], None]
) -> None:
    from soars_nnunet.html_report.page import write_page
    from soars_nnunet.html_report.prediction import prediction_page

    several = prediction.is_dir()
    if several and output is not None and output.is_file():
        raise InputError(f"-o {output}: expected a folder for the pages of a folder of predictions, got a file")
    for case, labels, ct in _pairs(prediction, source):
        if output is None:
            path = labels.with_name(f"{case}.html")
        else:
            path = output / f"{case}.html" if several or output.is_dir() else output
        size = write_page(path, prediction_page(labels, labels.with_name(f"{case}.json"), ct, with_viewer))
        say(f"wrote {path} ({size:.1f} MB)")


def _pairs(prediction: Path, source: Path) -> list[tuple[str, Path, Path]]:
    """Case name, label file and CT of every prediction."""
    predicted, cts = list_cts(prediction), dict(list_cts(source))
    if prediction.is_file() and source.is_file():
        case, labels = predicted[0]
        return [(case, labels, source)]
    missing = [case for case, _ in predicted if case not in cts]
    if missing:
        raise InputError(
            f"-i {source}: expected a CT for each prediction, found none for {', '.join(missing)}; add the CTs"
        )
    return [(case, labels, cts[case]) for case, labels in predicted]
