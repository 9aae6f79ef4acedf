"""``soars-channels``: out-of-fold anchor probabilities, heat maps and VOI crops."""

from __future__ import annotations

import argparse

from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cli import guards
from soars_nnunet.cli.command import make_main, say
from soars_nnunet.cli.options import add_dataset, add_device, add_plans, add_tiling, to_device, to_tiling

GUIDING = ("anchor", "detection")
"""Branches whose output others are guided by."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add dataset, plans, device and which output is wanted."""
    add_dataset(parser)
    add_plans(parser)
    add_device(parser)
    parser.add_argument(
        "--raw", action="store_true", help="also write anchor probabilities as nnU-Net channel files, one an organ"
    )
    parser.add_argument("--branches", nargs="+", action="extend", choices=GUIDING, help="only these (default: both)")
    parser.add_argument(
        "--in-sample",
        action="store_true",
        help="only anchor probabilities, and by models that trained on the case; to compare",
    )
    add_tiling(parser)


def run(arguments: argparse.Namespace) -> None:
    """Run each fold's model on the cases that it did not train on."""
    from soars_nnunet.guidance.channels import ChannelOptions, make_channels

    cascade = Cascade.load(arguments.dataset)
    options = ChannelOptions(
        raw=arguments.raw,
        branches=tuple(arguments.branches or GUIDING),
        in_sample=arguments.in_sample,
        tiling=to_tiling(arguments),
    )
    done = make_channels(cascade, arguments.plans_name, to_device(arguments.device), options, progress=say)
    kind = "in-sample" if arguments.in_sample else "out-of-fold"
    variant = "" if arguments.plans_name == DEFAULT_PLANS else f" --plans-name {arguments.plans_name}"
    say(f"{kind} output complete: {', '.join(done)}; next: soars-plan -d {arguments.dataset}{variant}")


main = make_main("channels", add_arguments, run, guard=guards.source_dataset)
