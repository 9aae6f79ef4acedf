"""Options that several commands have in common."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from soars_nnunet.cascade.record import DEFAULT_PLANS, TRAINING_PLANS
from soars_nnunet.cli.option_values import number_within, spacing, to_name, to_path, whole_number
from soars_nnunet.errors import InputError
from soars_nnunet.prediction.tiling import TILING_KINDS, Tiling

if TYPE_CHECKING:  # torch takes seconds, and most commands and every --help do without it
    import torch

AXES = ("Z", "Y", "X")
"""Placeholders of a size or spacing."""


def add_dataset(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Which source dataset."""
    parser.add_argument(
        "-d", "--dataset", required=required, metavar="ID", help="source dataset: its id or its name in nnUNet_raw"
    )


def add_plans(parser: argparse.ArgumentParser) -> None:
    """Plans of which variant."""
    text = "name of the plans; another name keeps a variant apart (default: %(default)s)"
    parser.add_argument("--plans-name", type=_plans_name, default=DEFAULT_PLANS, metavar="NAME", help=text)


def _plans_name(text: str) -> str:
    """Name of plans; the default ones have a second one for ``nnUNetv2_train``."""
    text = to_name(text)
    return DEFAULT_PLANS if text == TRAINING_PLANS else text


def add_model(parser: argparse.ArgumentParser | argparse._MutuallyExclusiveGroup) -> None:
    """Which bundle."""
    text = "a bundle: name of one that is shipped or installed, or its folder or zip"
    parser.add_argument("--model", metavar="NAME", help=text)


def add_spacing(parser: argparse.ArgumentParser, option: str, text: str) -> None:
    """A spacing (Z, Y, X) in mm."""
    parser.add_argument(option, nargs=3, type=spacing, metavar=AXES, help=text)


def add_folds(parser: argparse.ArgumentParser, text: str) -> None:
    """Numbers of folds."""
    parser.add_argument("--folds", nargs="+", action="extend", type=whole_number(0, 9999), metavar="FOLD", help=text)


def add_alias(parser: argparse.ArgumentParser, what: str, more: str = "") -> None:
    """Which organ a name means that is not read."""
    text = f'which organ a {what} means whose name is not read, as "LT PAROTID=Parotid_L"; may be given several times'
    parser.add_argument("--alias", action="append", default=[], metavar="NAME=ORGAN", help=text + more)


def add_not_annotated(parser: argparse.ArgumentParser) -> None:
    """Which organs nobody drew."""
    text = 'JSON file of the organs that nobody drew, by case: {"case": ["Parotid_L"]}'
    parser.add_argument("--not-annotated", "--unannotated", type=to_path, metavar="FILE", help=text)


def positive(text: str) -> float:
    """Value of an option that is a finite number above 0.

    Raises:
        ValueError: If it is none; argparse then names the option.
    """
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def add_device(parser: argparse.ArgumentParser) -> None:
    """Where networks run."""
    text = "where networks run: cpu, cuda or mps (default: cuda where there is one, else cpu)"
    parser.add_argument("--device", metavar="NAME", help=text)


def add_tta(parser: argparse.ArgumentParser) -> None:
    """Mirrored as well."""
    text = "also predict the mirrored CT, left and right swapped, and average; takes twice the time"
    parser.add_argument("--tta", action="store_true", help=text)


def add_tiling(parser: argparse.ArgumentParser) -> None:
    """Where networks run, and on how large tiles."""
    text = (
        "default: tiles of the training patch's size, within the anchors' reach; large: few large tiles for anchors "
        "and mid-level, quicker; everywhere: all of the patient's box, slower"
    )
    shown = "{default,large,everywhere}"  # both at once is for experiments
    parser.add_argument("--tiling", choices=TILING_KINDS, default="default", metavar=shown, help=text)
    # for comparisons with other predictors, and older spellings
    parser.add_argument("--step-size", type=number_within(0.01, 1), help=argparse.SUPPRESS)
    parser.add_argument("--everywhere", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--large-tiles", action="store_true", help=argparse.SUPPRESS)


def to_tiling(arguments: argparse.Namespace) -> Tiling:
    """What ``add_tiling`` asked for."""
    tiling = Tiling(arguments.tiling, arguments.step_size)
    everywhere = tiling.everywhere or arguments.everywhere
    large = tiling.large or arguments.large_tiles
    return Tiling.from_json({"step_size": tiling.step_size, "everywhere": everywhere, "large": large})


def to_device(name: str | None) -> torch.device:
    """Device of a name; None for a GPU where there is one.

    Raises:
        InputError: If it is unknown, or there is none.
    """
    import torch

    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda", "mps"):
        raise InputError(f"--device: expected cpu, cuda or mps, got '{name}'")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("--device cuda: expected a usable NVIDIA GPU, found none; use --device cpu")
    return torch.device(name)
