"""Options that several commands have in common."""

from __future__ import annotations

import argparse

from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.prediction.tiling import Tiling


def add_dataset(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Which source dataset."""
    parser.add_argument("-d", "--dataset", required=required, help="source dataset: id or name in nnUNet_raw")


def add_plans(parser: argparse.ArgumentParser) -> None:
    """Plans of which variant."""
    parser.add_argument("--plans-name", default=DEFAULT_PLANS, help="plans of a variant (default: %(default)s)")


def add_spacing(parser: argparse.ArgumentParser, option: str, text: str) -> None:
    """A spacing (Z, Y, X) in mm."""
    parser.add_argument(option, nargs=3, type=float, metavar=("Z", "Y", "X"), help=text)


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
    parser.add_argument("--device", default=None, help="cpu, cuda or mps (default: cuda where there is one)")


def add_tta(parser: argparse.ArgumentParser) -> None:
    """Mirrored as well."""
    text = "also predict mirrored, left and right swapped; twice the time"
    parser.add_argument("--tta", action="store_true", help=text)


def add_tiling(parser: argparse.ArgumentParser) -> None:
    """Where networks run, and on how large tiles."""
    parser.add_argument(
        "--step-size", type=float, help="sliding-window step as a fraction of the patch (default: the plans', by axis)"
    )
    text = "run networks on all of the patient's box, also out of the anchors' reach (to compare with; slower)"
    parser.add_argument("--everywhere", action="store_true", help=text)
    text = "anchors and mid-level on few large tiles instead of ones of the training patch's size: quicker"
    parser.add_argument("--large-tiles", action="store_true", help=text)


def to_tiling(arguments: argparse.Namespace) -> Tiling:
    """What ``add_tiling`` asked for."""
    return Tiling(arguments.step_size, arguments.everywhere, arguments.large_tiles)


def to_device(name: str | None) -> torch.device:  # noqa: F821 - torch is imported where it is needed
    """Device of a name; None for a GPU where there is one.

    Raises:
        ValueError: If it is unknown, or there is none.
    """
    import torch

    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda", "mps"):
        raise ValueError(f"--device: expected cpu, cuda or mps, got '{name}'")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: expected a usable NVIDIA GPU, found none; use --device cpu")
    return torch.device(name)
