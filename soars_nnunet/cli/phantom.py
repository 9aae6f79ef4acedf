"""``soars-phantom``: synthetic CTs with 42 organs as a raw nnU-Net dataset."""

from __future__ import annotations

import argparse
from math import prod

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cli import guards
from soars_nnunet.cli.command import make_main, say
from soars_nnunet.cli.option_values import spacing, to_name, whole_number
from soars_nnunet.cli.options import AXES
from soars_nnunet.errors import InputError

SHAPE = (96, 80, 80)

SPACING_MM = (3.0, 3.0, 3.0)


MAX_VOXELS = 2**28
"""Of a phantom: 512 x 512 x 1024; it is drawn in memory."""

MAX_PHANTOMS = 100_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the dataset, how many phantoms and on which grid."""
    parser.add_argument(
        "-d",
        "--dataset",
        type=whole_number(1, 999),
        default=42,
        metavar="ID",
        help="id of the new dataset (default: %(default)s)",
    )
    parser.add_argument(
        "--name", type=to_name, default="Phantom", help="name of the new raw dataset (default: %(default)s)"
    )
    parser.add_argument(
        "--train",
        type=whole_number(0, MAX_PHANTOMS),
        default=8,
        metavar="N",
        help="number of training phantoms (default: %(default)s)",
    )
    parser.add_argument(
        "--test",
        type=whole_number(0, MAX_PHANTOMS),
        default=3,
        metavar="N",
        help="number of test phantoms (default: %(default)s)",
    )
    parser.add_argument(
        "--shape",
        nargs=3,
        type=whole_number(8, 2048),
        default=SHAPE,
        metavar=AXES,
        help="size in voxels (default: 96 80 80)",
    )
    parser.add_argument(
        "--spacing", nargs=3, type=spacing, default=SPACING_MM, metavar=AXES, help="voxel size in mm (default: 3 3 3)"
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, 2**31 - 1),
        default=0,
        metavar="N",
        help="which patients; datasets of two seeds share none (default: 0)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Write synthetic training and test cases."""
    from soars_nnunet.phantom.dataset import write_phantom_dataset

    voxels = prod(arguments.shape)
    if voxels > MAX_VOXELS:
        raise InputError(f"--shape: expected at most {MAX_VOXELS} voxels in all, got {voxels}; make it smaller")
    if not arguments.train + arguments.test:
        raise InputError("--train 0 --test 0: expected at least one phantom, got none; give a number above 0")
    folder = raw_folder() / f"Dataset{arguments.dataset:03d}_{arguments.name}"
    write_phantom_dataset(
        folder,
        num_training=arguments.train,
        num_test=arguments.test,
        shape=tuple(arguments.shape),
        spacing_mm=tuple(arguments.spacing),
        seed=arguments.seed,
        progress=say,
    )
    say(f"wrote {folder}; next: soars-stratify -d {arguments.dataset} -p hn42")


main = make_main("phantom", add_arguments, run, guard=guards.new_dataset)
