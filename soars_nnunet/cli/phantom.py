"""``soars-phantom``: synthetic CTs with 42 organs as a raw nnU-Net dataset."""

from __future__ import annotations

import argparse

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cli import guards
from soars_nnunet.cli.command import make_main, say
from soars_nnunet.cli.options import AXES
from soars_nnunet.errors import InputError

SHAPE = (96, 80, 80)

SPACING_MM = (3.0, 3.0, 3.0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the dataset, how many phantoms and on which grid."""
    parser.add_argument(
        "-d", "--dataset", type=int, default=42, metavar="ID", help="id of the new dataset (default: %(default)s)"
    )
    parser.add_argument("--name", default="Phantom", help="name of the new raw dataset (default: %(default)s)")
    parser.add_argument(
        "--train", type=int, default=8, metavar="N", help="number of training phantoms (default: %(default)s)"
    )
    parser.add_argument(
        "--test", type=int, default=3, metavar="N", help="number of test phantoms (default: %(default)s)"
    )
    parser.add_argument(
        "--shape", nargs=3, type=int, default=SHAPE, metavar=AXES, help="size in voxels (default: 96 80 80)"
    )
    parser.add_argument(
        "--spacing", nargs=3, type=float, default=SPACING_MM, metavar=AXES, help="voxel size in mm (default: 3 3 3)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="which patients; datasets of two seeds share none (default: 0)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Write synthetic training and test cases."""
    from soars_nnunet.phantom.dataset import write_phantom_dataset

    if not 0 < arguments.dataset < 1000:
        raise InputError(f"-d: expected a dataset id between 1 and 999, got {arguments.dataset}")
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
