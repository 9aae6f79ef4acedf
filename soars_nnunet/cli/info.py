"""``soars-nnunet info``: versions, profiles and models at a glance; loads neither torch nor nnU-Net."""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from textwrap import wrap

from soars_nnunet import __version__
from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.bundles.describe import describe
from soars_nnunet.bundles.places import installed_folder, known_bundles
from soars_nnunet.cascade.environment import trainer_folder
from soars_nnunet.cascade.manifest import Manifest, all_manifests
from soars_nnunet.cascade.trained import trained_folds
from soars_nnunet.cli.command import make_main, say
from soars_nnunet.profile import TIERS, Profile, available_profiles, load_profile

PACKAGES = ("nnunetv2", "torch")
"""Packages whose versions matter most; read from their metadata, without importing them."""

WIDTH = 100
"""Columns of the lists of organs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: the command has no options."""


def run(arguments: argparse.Namespace) -> None:
    """Print everything."""
    for line in (*version_lines(), *profile_lines(), *model_lines(), *bundle_lines()):
        say(line)
    say(f"trainers: {trainer_folder()}")


def version_lines() -> list[str]:
    """Versions of this package, of those that it stands on, and of Python."""
    lines = [f"soars_nnunet {__version__}"]
    for name in PACKAGES:
        lines.append(f"{name} {_version(name)}")
    lines.append(f"Python {platform.python_version()}")
    return lines


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "is not installed"


def profile_lines() -> list[str]:
    """Every profile that the package ships, with its organs by tier."""
    lines = []
    for name in available_profiles():
        profile = load_profile(name)
        lines.append(f"profile {name}: {len(profile.organs)} organs")
        lines += _tier_lines(profile)
    return lines


def _tier_lines(profile: Profile) -> list[str]:
    """The organs of each tier that has any."""
    lines = []
    for tier in TIERS:
        names = [organ.name for organ in profile.tier(tier)]
        if names:
            text = f"{tier} ({len(names)}): {', '.join(names)}"
            lines += wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")
    return lines


def model_lines() -> list[str]:
    """Trained cascades in nnU-Net's results folder."""
    folder = os.environ.get("nnUNet_results")
    if not folder:
        return ["trained cascades: nnUNet_results is not set"]
    lines = []
    for path in all_manifests(Path(folder)):
        try:
            description = _describe(path)
        except ValueError as error:  # a damaged manifest, or one of another form
            description = str(error)
        if description:
            lines.append(f"  {path.parent.relative_to(folder)}: {description}")
    if not lines:
        return [f"trained cascades in {folder}: none"]
    return [f"trained cascades in {folder}:", *lines]


def bundle_lines() -> list[str]:
    """Bundles that are shipped or installed."""
    lines = []
    for name, path in known_bundles().items():
        try:
            description = describe(Bundle(path))
        except ValueError as error:  # a damaged one
            description = str(error)
        lines.append(f"  {name}: {description}")
    if not lines:
        return [f"bundles: none shipped, none in {installed_folder()}"]
    return ["bundles:", *lines]


def _describe(path: Path) -> str:
    """Profile of a trained cascade, and the folds of each branch; empty where some branch is not trained."""
    manifest = Manifest.load(path)
    branches = []
    for key, branch in manifest.branches.items():
        folds = trained_folds(path.parent / branch.model)
        if not folds:
            return ""
        numbers = " ".join(str(fold) for fold in folds)
        branches.append(f"{key} (folds {numbers})")
    return f"{manifest.profile.name}; {', '.join(branches)}"


main = make_main("info", add_arguments, run)
