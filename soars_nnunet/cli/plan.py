"""``soars-plan``: nnU-Net plans and preprocessing of every branch whose inputs exist."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cli import guards
from soars_nnunet.cli.command import make_main, say
from soars_nnunet.cli.option_values import processes, to_name, to_path
from soars_nnunet.cli.options import add_dataset, add_plans, add_spacing
from soars_nnunet.errors import InputError
from soars_nnunet.networks.genotype import describe_genotype

if TYPE_CHECKING:
    from soars_nnunet.planning.remembered import GivenOptions

NOT_FOR_FINE_TUNING = ("regime", "branches", "spacing", "small_hard_spacing", "guidance", "genotype", "from_bundle")
"""Options that --fine-tune does not take: the trained models' plans say it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add dataset, plans and what they are made with."""
    add_dataset(parser)
    add_plans(parser)
    parser.add_argument("--regime", metavar="NAME", help="hyper-parameters: paper, nnunet or demo (default: paper)")
    parser.add_argument(
        "--branches",
        nargs="+",
        action="extend",
        metavar="BRANCH",
        help="only these: anchor mid_level detection small_hard baseline (default: all whose inputs exist)",
    )
    add_spacing(
        parser, "--spacing", "grid of anchor, mid-level and detection networks, mm (default: the median of the CTs)"
    )
    add_spacing(parser, "--small-hard-spacing", "grid of the small & hard network, mm (default: the median of the CTs)")
    parser.add_argument(
        "--guidance",
        choices=("anchor", "in-sample", "none"),
        help="what guided branches see beside the CT: anchors by models that did not train on the case (anchor, the "
        "default), by models that did (in-sample), or nothing (none)",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        metavar="[BRANCH.]KEY=VALUE",
        help="change values of the regime, as batch_size=2",
    )
    parser.add_argument(
        "--genotype",
        nargs="+",
        action="extend",
        type=to_path,
        metavar="FILE",
        help="genotype.json of architecture searches",
    )
    parser.add_argument(
        "--from-bundle",
        metavar="NAME|PATH",
        help="start trainings from the weights of a bundle, by its grid, HU unit and architecture",
    )
    parser.add_argument(
        "--fine-tune",
        type=to_name,
        metavar="NAME",
        help="plan the joint fine-tuning of the trained cascade, under this name",
    )
    parser.add_argument(
        "-np", type=processes, default=2, metavar="N", help="processes that preprocess (default: %(default)s)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write nnU-Net plans and run nnU-Net's preprocessing."""
    cascade = Cascade.load(arguments.dataset)
    if arguments.fine_tune:
        _plan_fine_tuning(cascade, arguments)
    else:
        _plan_branches(cascade, arguments)


def _plan_branches(cascade: Cascade, arguments: argparse.Namespace) -> None:
    from soars_nnunet.planning.plan import plan
    from soars_nnunet.planning.remembered import blamed_on_remembered, options_to_plan

    given = _given_options(cascade, arguments)
    options = options_to_plan(cascade, arguments.plans_name, given, arguments.np)
    try:
        plan(cascade, options, arguments.branches, say)
    except ValueError as error:
        blamed = blamed_on_remembered(error, cascade, arguments.plans_name, given)
        if blamed is error:
            raise
        raise blamed from error


def _given_options(cascade: Cascade, arguments: argparse.Namespace) -> GivenOptions:
    """What the user typed; says what is known of the genotypes."""
    from soars_nnunet.planning.bundle_start import lasting_name
    from soars_nnunet.planning.remembered import GivenOptions, merged_genotypes

    kinds, folds = {}, {}
    for branch, entry in merged_genotypes(arguments.genotype or (), cascade).items():
        say(describe_genotype(branch, entry))
        kinds[branch] = entry["kinds"]
        if "fold" in entry:
            folds[branch] = entry["fold"]
    return GivenOptions(
        regime=arguments.regime,
        spacing_mm=arguments.spacing,
        small_hard_spacing_mm=arguments.small_hard_spacing,
        guidance=arguments.guidance,
        overrides=arguments.set,
        genotypes=kinds or None,
        genotype_folds=folds or None,
        from_bundle=lasting_name(arguments.from_bundle) if arguments.from_bundle else None,
    )


def _plan_fine_tuning(cascade: Cascade, arguments: argparse.Namespace) -> None:
    from soars_nnunet.planning.fine_tuning import plan_fine_tuning

    given = []
    for name in NOT_FOR_FINE_TUNING:
        if getattr(arguments, name) is not None:
            given.append(f"--{name.replace('_', '-')}")
    if given:
        raise InputError(f"--fine-tune takes the trained models' own plans; expected no {', '.join(given)}, only --set")
    plan_fine_tuning(
        cascade,
        name=arguments.fine_tune,
        base=arguments.plans_name,
        overrides=arguments.set or (),
        num_processes=arguments.np,
        progress=say,
    )


main = make_main("plan", add_arguments, run, guard=guards.source_dataset)
