"""``soars-report``: one HTML file for an evaluation, or for each prediction."""

from __future__ import annotations

import argparse

from soars_nnunet.cli.command import make_main, say
from soars_nnunet.cli.option_values import to_path
from soars_nnunet.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is reported, and where to."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("-e", "--evaluation", type=to_path, help="evaluation.json of soars-evaluate, or its folder")
    what.add_argument("-p", "--prediction", type=to_path, help="label file of soars-cascade-predict, or its folder")
    parser.add_argument("-i", "--input", type=to_path, help="with -p: the CT that was segmented, or the folder of CTs")
    text = "HTML file, or a folder where -p is a folder (default: beside the evaluation or prediction)"
    parser.add_argument("-o", "--output", type=to_path, help=text)


def run(arguments: argparse.Namespace) -> None:
    """Write the page or pages; print where, and how large."""
    from soars_nnunet.html_report.write import report_evaluation, report_predictions

    if arguments.evaluation is not None:
        if arguments.input is not None:
            raise InputError("-i: expected with -p only, as an evaluation has no CT; leave it out")
        report_evaluation(arguments.evaluation, arguments.output, say)
    elif arguments.input is None:
        raise InputError("-p: expected also -i with the CT that was segmented, got none; add -i CT_OR_FOLDER")
    else:
        report_predictions(arguments.prediction, arguments.input, arguments.output, say)


main = make_main("report", add_arguments, run)
