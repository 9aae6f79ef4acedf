"""``soars-cascade-predict``: CT to one label volume and a report."""

from __future__ import annotations

import argparse

from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cli.command import make_main, say
from soars_nnunet.cli.option_values import to_path, whole_number
from soars_nnunet.cli.options import (
    add_device,
    add_folds,
    add_model,
    add_plans,
    add_tiling,
    add_tta,
    positive,
    to_device,
    to_tiling,
)
from soars_nnunet.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add input, output, models and how the networks run."""
    parser.add_argument("-i", "--input", required=True, type=to_path, help="a CT (NIfTI, NRRD, MHA) or a folder of CTs")
    parser.add_argument("-o", "--output", required=True, type=to_path, help="folder for the label volumes and reports")
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "-d",
        "--dataset",
        metavar="ID",
        help="source dataset of the cascade (not needed where only one is trained, or for openkbp7 where none is)",
    )
    group.add_argument("-m", "--models", type=to_path, metavar="FOLDER", help="folder of a cascade's manifest.json")
    add_model(group)
    add_plans(parser)
    add_device(parser)
    add_folds(parser, "folds whose networks are averaged (default: all trained ones of a branch)")
    add_tiling(parser)
    add_tta(parser)
    parser.add_argument("--overwrite", action="store_true", help="predict again where a finished result exists")
    parser.add_argument("--no-postprocessing", action="store_true", help="keep the labels as the networks give them")
    parser.add_argument(
        "--roi-subset",
        nargs="+",
        action="extend",
        metavar="ORGAN",
        help="only these organs; branches that they do not need are not run",
    )
    text = "--tiling large, and one fold of each branch: less accurate"
    parser.add_argument("--fast", action="store_true", help=text)
    parser.add_argument(
        "--memory-limit",
        type=positive,
        metavar="GIB",
        help="refuse a CT that would need more memory (default: what is free)",
    )
    parser.add_argument(
        "--num-parts",
        type=whole_number(1, 1_000_000),
        default=1,
        metavar="N",
        help="share the CTs out among N processes (default: %(default)s)",
    )
    parser.add_argument(
        "--part-id",
        type=whole_number(0, 1_000_000),
        default=0,
        metavar="I",
        help="which of them this one is, from 0 (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Predict every CT; the report beside each volume holds volumes, status and confidence."""
    from soars_nnunet.prediction.choosing import choose_cascade
    from soars_nnunet.prediction.files import predict_files
    from soars_nnunet.prediction.options import PredictionOptions

    if arguments.plans_name != DEFAULT_PLANS and arguments.dataset is None:
        raise InputError(f"--plans-name {arguments.plans_name}: expected also -d with the dataset; add -d ID")
    chosen = choose_cascade(arguments.dataset, arguments.models, arguments.model, arguments.plans_name, progress=say)
    options = PredictionOptions(
        folds=arguments.folds,
        device=to_device(arguments.device),
        tiling=to_tiling(arguments),
        mirror=arguments.tta,
        organs=arguments.roi_subset,
        postprocess=not arguments.no_postprocessing,
        fast=arguments.fast,
        overwrite=arguments.overwrite,
        part_id=arguments.part_id,
        num_parts=arguments.num_parts,
        memory_limit_gib=arguments.memory_limit,
    )
    predict_files(arguments.input, arguments.output, chosen, options, progress=say)


main = make_main("cascade-predict", add_arguments, run)
