"""``soars-phantom``: synthetic CTs with 42 organs as a raw nnU-Net dataset."""

from __future__ import annotations

import argparse

from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cli.command import make_main, say
from soars_nnunet.errors import InputError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the dataset, how many phantoms and on which grid."""
    parser.add_argument("-d", "--dataset", type=int, default=42, help="id of the new dataset (default: %(default)s)")
    parser.add_argument("--name", default="Phantom", help="name of the new raw dataset (default: %(default)s)")
    parser.add_argument("--train", type=int, default=8, help="training phantoms (default: %(default)s)")
    parser.add_argument("--test", type=int, default=3, help="test phantoms (default: %(default)s)")
    parser.add_argument("--shape", nargs=3, type=int, default=(96, 80, 80), metavar=("Z", "Y", "X"), help="voxels")
    parser.add_argument("--spacing", nargs=3, type=float, default=(3.0, 3.0, 3.0), metavar=("Z", "Y", "X"), help="mm")
    parser.add_argument("--seed", type=int, default=0, help="first patient (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Write synthetic training and test cases."""
    from soars_nnunet.phantom.dataset import write_phantom_dataset

    if not 0 < arguments.dataset < 1000:
        raise InputError(f"-d: expected a dataset id between 1 and 999, got {arguments.dataset}")
    folder = raw_folder() / f"Dataset{arguments.dataset:03d}_{arguments.name}"
    write_phantom_dataset(
        folder, arguments.train, arguments.test, tuple(arguments.shape), tuple(arguments.spacing), arguments.seed, say
    )
    say(f"wrote {folder}; next: soars-stratify -d {arguments.dataset} -p hn42")


main = make_main("phantom", add_arguments, run)
