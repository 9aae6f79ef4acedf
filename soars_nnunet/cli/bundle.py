"""``soars-bundle``: a trained cascade as one safe file: make, verify, install, list, show its card."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from textwrap import wrap
from typing import TYPE_CHECKING

from soars_nnunet.cli import guards
from soars_nnunet.cli.command import make_main, say, say_text
from soars_nnunet.cli.option_values import to_path
from soars_nnunet.cli.options import add_folds, add_plans
from soars_nnunet.cli.spelling import usage_of
from soars_nnunet.errors import MissingArtifactError

if TYPE_CHECKING:
    from soars_nnunet.bundles.bundle import Bundle
    from soars_nnunet.bundles.install import ListedBundle

MEGA = 1e6

WIDTH = 100
"""Columns of the list of organs."""

MODEL = "name of a shipped or installed bundle, or path of a bundle's folder or zip"


@dataclass(frozen=True)
class Action:
    """What the command can do.

    Attributes:
        name: What the user types after the command.
        summary: One line.
        example: That can be typed, or with paths of the user's own.
        add_arguments: Adds its options to a parser.
        run: Does it.
    """

    name: str
    summary: str
    example: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add a parser for each action."""
    names = "|".join(ACTIONS)
    text = f"what to do; 'soars-bundle ACTION --help' explains each of {', '.join(ACTIONS)}"
    added = parser.add_subparsers(dest="action", required=True, metavar=names, help=text)
    for action in ACTIONS.values():
        own = added.add_parser(
            action.name,
            prog=f"soars-bundle {action.name}",
            help=action.summary,
            description=f"example:\n  {action.example}\n\n{action.summary}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        action.add_arguments(own)
        own.usage = usage_of(own)


def run(arguments: argparse.Namespace) -> None:
    """Do what was asked for."""
    ACTIONS[arguments.action].run(arguments)


def _add_make(parser: argparse.ArgumentParser) -> None:
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument("-d", "--dataset", metavar="ID", help="source dataset: its id or its name in nnUNet_raw")
    group.add_argument("-m", "--models", type=to_path, metavar="FOLDER", help="folder of a cascade's manifest.json")
    add_plans(parser)
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        type=to_path,
        metavar="PATH",
        help="a new folder, or a file that ends with .zip",
    )
    parser.add_argument("--name", required=True, help="of the bundle: lower-case letters, digits, '-', '_', '.'")
    text = "of the weights; fp16 takes half the space (default: %(default)s)"
    parser.add_argument("--precision", choices=("fp16", "fp32"), default="fp16", help=text)
    add_folds(parser, "only these folds of every branch (default: all trained ones)")
    text = "JSON file of what you state in the model card: licence, data, authors, known failures"
    parser.add_argument("--card", type=to_path, metavar="FILE", help=text)
    parser.add_argument(
        "--evaluation",
        nargs="+",
        action="extend",
        default=[],
        metavar="LABEL=FILE",
        help="further evaluation.json for the card, such as of an independent test set",
    )


def _run_make(arguments: argparse.Namespace) -> None:
    from soars_nnunet.bundles.card_form import NOT_STATED
    from soars_nnunet.bundles.make import make_bundle
    from soars_nnunet.bundles.read_facts import MakeOptions
    from soars_nnunet.cascade.manifest import locate_manifest
    from soars_nnunet.cascade.record import Cascade

    manifest = locate_manifest(arguments.dataset, arguments.models, arguments.plans_name)
    cascade = None if arguments.dataset is None else Cascade.load(arguments.dataset)
    options = MakeOptions(
        name=arguments.name,
        precision=arguments.precision,
        folds=arguments.folds,
        card=arguments.card,
        evaluations=arguments.evaluation,
    )
    bundle = make_bundle(manifest, arguments.output, options, cascade, progress=say)
    say(f"wrote {arguments.output}, verified: {_description(bundle)}")
    if bundle.described.about.license == NOT_STATED:
        say('its licence is not stated: say in --card what others may do with the weights: {"licence": "CC-BY-4.0"}')


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="BUNDLE", help=MODEL)


def _run_verify(arguments: argparse.Namespace) -> None:
    from soars_nnunet.bundles.open import open_bundle
    from soars_nnunet.bundles.verify import check_files

    bundle = open_bundle(arguments.model)
    problems = []
    for file in check_files(bundle):
        verdict = file.problem or "ok"
        say(f"{file.name}  {file.bytes} bytes  {file.content}: {verdict}")
        if file.problem:
            problems.append(file.name)
    if problems:
        raise MissingArtifactError(f"{bundle.path}: damaged: {', '.join(problems)}; get the bundle again")
    say(f"{bundle.path}: sound; {_description(bundle)}")


def _add_install(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    text = "replace another bundle of this name, or hide a shipped one"
    parser.add_argument("--replace", action="store_true", help=text)


def _run_install(arguments: argparse.Namespace) -> None:
    from soars_nnunet.bundles.install import install_bundle
    from soars_nnunet.bundles.open import open_bundle

    bundle = open_bundle(arguments.model)
    done = install_bundle(bundle, replace=arguments.replace)
    say(f"{'is installed already' if done.was_there else 'installed'}: {done.path}")
    if done.shadows:
        say(f"the shipped bundle '{bundle.name}' is hidden by it")
    say(f"use it: soars-cascade-predict -i CT -o OUT --model {bundle.name}")


def _add_nothing(parser: argparse.ArgumentParser) -> None:
    pass


def _run_list(arguments: argparse.Namespace) -> None:
    from soars_nnunet.bundles.install import list_bundles
    from soars_nnunet.bundles.places import installed_folder

    found = list_bundles()
    for listed in found:
        for line in _listing(listed):
            say(line)
    if not found:
        say("no bundle is shipped or installed")
    say(f"installed bundles lie in {installed_folder()}")


def _listing(listed: ListedBundle) -> list[str]:
    origin = "shipped" if listed.shipped else "installed"
    remark = f", {listed.note}" if listed.note else ""
    if listed.bundle is None:
        return [f"{listed.name} ({origin}): not usable{remark}"]
    lines = [f"{listed.name} ({origin}{remark})"]
    about = listed.bundle.described.about
    lines.append(f"  trained on {about.trained_on}; licence of the weights: {about.license}")
    lines.append(f"  networks: {_description(listed.bundle)}")
    organs: list[str] = []
    for key, branch in listed.bundle.manifest.branches.items():
        if key != "detection":
            organs += branch.classes
    text = f"{len(organs)} organs: {', '.join(organs)}"
    lines += wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")
    return lines


def _description(bundle: Bundle) -> str:
    """Branches with the number of folds, precision and size."""
    branches = []
    for key, branch in bundle.described.branches.items():
        folds = "1 fold" if len(branch.folds) == 1 else f"{len(branch.folds)} folds"
        branches.append(f"{key} x {folds}")
    size = sum(entry.bytes for entry in bundle.described.files.values()) / MEGA
    return f"{', '.join(branches)}; {bundle.described.precision}, {size:.1f} MB"


def _add_card(parser: argparse.ArgumentParser) -> None:
    _add_model(parser)
    parser.add_argument("--json", action="store_true", help="print it as JSON, for programs")


def _run_card(arguments: argparse.Namespace) -> None:
    from soars_nnunet.bundles.open import open_bundle

    bundle = open_bundle(arguments.model)
    if arguments.json:
        say_text(json.dumps(bundle.card, indent=2))
    else:
        say_text(bundle.card_text.rstrip("\n"))


_TABLE = (
    Action(
        "make",
        "Pack a trained cascade with its model card into a folder or zip.",
        "soars-bundle make -d 7 -o neck.zip --name neck",
        _add_make,
        _run_make,
    ),
    Action(
        "verify",
        "Read every file of a bundle and check hashes, shapes and numbers.",
        "soars-bundle verify neck.zip",
        _add_model,
        _run_verify,
    ),
    Action(
        "install",
        "Verify a bundle and copy it to where predictions find it by name.",
        "soars-bundle install neck.zip",
        _add_install,
        _run_install,
    ),
    Action(
        "list",
        "List shipped and installed bundles with their organs.",
        "soars-bundle list",
        _add_nothing,
        _run_list,
    ),
    Action(
        "card",
        "Print the model card of a bundle.",
        "soars-bundle card neck.zip",
        _add_card,
        _run_card,
    ),
)

ACTIONS = {action.name: action for action in _TABLE}
"""All actions by name, in the order of use."""

main = make_main("bundle", add_arguments, run, guard=guards.bundle)
