"""``soars-env``: the line that lets plain nnU-Net commands find the trainers."""

from __future__ import annotations

import argparse
import shlex

from soars_nnunet.cascade.environment import trainer_folder
from soars_nnunet.cli.command import make_main, say

LINES = {
    "sh": "export nnUNet_extTrainer={}",
    "fish": "set -gx nnUNet_extTrainer {}",
    "powershell": "$Env:nnUNet_extTrainer = {}",
}
"""How each shell sets the variable."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add which shell reads the line."""
    parser.add_argument("--shell", choices=tuple(LINES), default="sh", help="syntax of the line (default: %(default)s)")


def run(arguments: argparse.Namespace) -> None:
    """Print the line."""
    folder = shlex.quote(trainer_folder())
    say(LINES[arguments.shell].format(folder))


main = make_main("env", add_arguments, run)
