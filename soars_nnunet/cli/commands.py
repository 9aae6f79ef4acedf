"""The ``soars-*`` commands: parse, call one function, print; bad input is one line and exit code 2."""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path

from soars_nnunet.cascade.environment import raw_folder, trainer_folder
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.cli import report as html_report
from soars_nnunet.cli.evaluate import add_evaluate_arguments, run_evaluate
from soars_nnunet.cli.options import (
    add_dataset,
    add_device,
    add_plans,
    add_tiling,
    add_tta,
    positive,
    to_device,
    to_tiling,
)
from soars_nnunet.errors import InputError
from soars_nnunet.importing.public_sets import add_arguments as _add_import
from soars_nnunet.networks.genotype import describe_genotype, load_genotypes
from soars_nnunet.profile import load_profile

Command = Callable[[argparse.Namespace], None]
Main = Callable[[Sequence[str] | None], int]


def _command(description: str, add_arguments: Callable[[argparse.ArgumentParser], None]) -> Callable[[Command], Main]:
    def decorate(run: Command) -> Main:
        @wraps(run)
        def main(argv: Sequence[str] | None = None) -> int:
            name = f"soars-{run.__name__.strip('_').replace('_', '-')}"
            parser = argparse.ArgumentParser(prog=name, description=description)
            add_arguments(parser)
            arguments = parser.parse_args(argv)
            logging.basicConfig(level=logging.WARNING, format="%(message)s")
            logging.getLogger("soars_nnunet").setLevel(logging.INFO)
            os.environ["nnUNet_extTrainer"] = trainer_folder()
            try:
                run(arguments)
            except (ValueError, OSError) as error:
                print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
                return 2
            except KeyboardInterrupt:
                print("interrupted; finished files are kept", file=sys.stderr)
                return 130
            return 0

        return main

    return decorate


def _say(text: str) -> None:
    print(text, flush=True)


def _add_env(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--shell", choices=("sh", "fish", "powershell"), default="sh", help="syntax of the line")


@_command("Print the line that lets plain nnU-Net commands find the trainers.", _add_env)
def env(arguments: argparse.Namespace) -> None:
    """Print the export line; use it as: eval "$(soars-env)"."""
    form = {
        "sh": "export nnUNet_extTrainer={}",
        "fish": "set -gx nnUNet_extTrainer {}",
        "powershell": "$Env:nnUNet_extTrainer = {}",
    }
    _say(form[arguments.shell].format(shlex.quote(trainer_folder())))


def _add_stratify(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser)
    parser.add_argument("-p", "--profile", required=True, help="hn42, miccai2015, openkbp7, or a profile's JSON file")
    parser.add_argument(
        "--ids",
        nargs="+",
        action="extend",
        type=int,
        metavar="ID",
        help="dataset ids: A M D S, with --baseline A M D S B",
    )
    parser.add_argument("--baseline", action="store_true", help="also write a dataset of all organs to compare with")
    parser.add_argument("--folds", type=int, default=4, help="cross-validation folds (default: %(default)s)")
    parser.add_argument("--unannotated", type=Path, metavar="FILE", help="JSON: organs by case that nobody drew")
    parser.add_argument(
        "--empty-means-absent", action="store_true", help="an organ without a voxel is absent (default: not drawn)"
    )
    parser.add_argument("--patient-pattern", help="regular expression whose first group is the patient in a case name")


@_command("Stratify a raw nnU-Net dataset into one dataset per branch.", _add_stratify)
def stratify(arguments: argparse.Namespace) -> None:
    """Write branch datasets and the patient-level split; list what dataset and profile do not share."""
    from soars_nnunet.stratification.stratify import stratify as run

    profile = load_profile(arguments.profile)
    done = run(
        arguments.dataset,
        profile,
        arguments.ids,
        arguments.folds,
        arguments.patient_pattern,
        _say,
        arguments.unannotated,
        arguments.empty_means_absent,
        arguments.baseline,
    )
    if done.unknown:
        _say(f"in the dataset, not in profile {profile.name} (left out): {', '.join(done.unknown)}")
    if done.absent:
        _say(f"in profile {profile.name}, not in the dataset: {', '.join(done.absent)}")
    for case, names in done.unused.items():
        _say(f"warning: {case}: {', '.join(names)} listed as not drawn; the contours are not used")
    if done.assumed:
        listed = "that the file does not list " if arguments.unannotated else ""
        _say(
            f"warning: in {len(done.assumed)} case(s) organs without a voxel {listed}are taken as there but not drawn: "
            "the training leaves them open; --empty-means-absent if they are absent, --unannotated FILE to say which"
        )
    for name in done.cascade.datasets.values():
        _say(f"{name}: {_STATES[name.rpartition('_')[2]]}")
    _say(f"next: soars-plan -d {arguments.dataset}")


_STATES = {
    "Anchor": "written",
    "Baseline": "written, all organs; soars-plan plans it too, any nnU-Net plans and trainer will do",
    "MidLevel": "written as a skeleton, soars-channels completes it",
    "Detection": "written as a skeleton, soars-channels completes it",
    "SmallHard": "reserved, soars-channels writes its crops",
}


def _add_plan(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser)
    add_plans(parser)
    parser.add_argument("--regime", help="hyper-parameters: paper, nnunet or demo (default: paper)")
    parser.add_argument(
        "--branches", nargs="+", action="extend", help="only these: anchor mid_level detection small_hard baseline"
    )
    mm = {"nargs": 3, "type": float, "metavar": ("Z", "Y", "X")}
    parser.add_argument("--spacing", **mm, help="mm, Anchor, MidLevel and Detection (default: median of the CTs)")
    parser.add_argument("--small-hard-spacing", **mm, help="mm, SmallHard (default: median of the CTs)")
    parser.add_argument(
        "--guidance",
        choices=("anchor", "in-sample", "none"),
        help="what guided branches see beside the CT: anchors out of fold (default), of models that trained on the "
        "case, or nothing",
    )
    parser.add_argument(
        "--set", nargs="+", action="extend", metavar="[BRANCH.]KEY=VALUE", help="override regime values"
    )
    parser.add_argument(
        "--genotype", nargs="+", action="extend", type=Path, metavar="FILE", help="genotype.json of searches"
    )
    parser.add_argument("--fine-tune", metavar="NAME", help="plan the fine-tuning of the trained cascade as NAME")
    parser.add_argument("-np", type=int, default=2, help="preprocessing workers (default: %(default)s)")


@_command(
    "Plan and preprocess every branch whose inputs exist; rerun after each soars-channels (options are remembered).",
    _add_plan,
)
def plan(arguments: argparse.Namespace) -> None:
    """Write nnU-Net plans and run nnU-Net's preprocessing."""
    from soars_nnunet.planning.plan import REMEMBERED, PlanOptions
    from soars_nnunet.planning.plan import plan as run

    cascade = Cascade.load(arguments.dataset)
    if arguments.fine_tune:
        _plan_fine_tuning(cascade, arguments)
        return
    remembered = cascade.options(arguments.plans_name)
    given = {
        "regime": arguments.regime,
        "spacing_mm": arguments.spacing,
        "small_hard_spacing_mm": arguments.small_hard_spacing,
        "guidance": arguments.guidance,
        "overrides": arguments.set,
    }
    choices = read_json(remembered) if remembered.is_file() else {}
    if unknown := sorted(set(choices) - set(REMEMBERED)):
        raise InputError(
            f"{remembered}: expected options of this version, got {', '.join(unknown)}; delete it and give them anew"
        )
    if arguments.genotype:
        found: dict[str, dict] = {}
        for path in arguments.genotype:
            for branch, entry in load_genotypes(path).items():
                if branch in found or branch not in cascade.datasets:
                    reason = "named twice" if branch in found else f"no branch of {cascade.source}"
                    raise InputError(f"--genotype {path}: expected one genotype a branch; {branch} is {reason}")
                found[branch] = entry
                _say(describe_genotype(branch, entry))
        given["genotypes"] = {**(choices.get("genotypes") or {}), **{key: e["kinds"] for key, e in found.items()}}
    choices |= {name: value for name, value in given.items() if value is not None}
    choices = {name: tuple(value) if isinstance(value, list) else value for name, value in choices.items()}
    options = PlanOptions(plans_name=arguments.plans_name, num_processes=arguments.np, **choices)
    try:
        run(cascade, options, arguments.branches, _say)
    except ValueError as error:
        if arguments.set is None and str(error).startswith("--set"):
            raise InputError(f"{remembered} has the values of an earlier --set: {error}; give --set anew") from error
        raise


def _plan_fine_tuning(cascade: Cascade, arguments: argparse.Namespace) -> None:
    from soars_nnunet.planning.fine_tuning import plan_fine_tuning

    foreign = ("regime", "branches", "spacing", "small_hard_spacing", "guidance", "genotype")
    given = [f"--{name.replace('_', '-')}" for name in foreign if getattr(arguments, name) is not None]
    if given:
        raise InputError(f"--fine-tune takes the trained models' own plans; expected no {', '.join(given)}, only --set")
    overrides = arguments.set or ()
    plan_fine_tuning(cascade, arguments.fine_tune, arguments.plans_name, overrides, arguments.np, _say)


def _add_channels(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser)
    add_plans(parser)
    add_device(parser)
    parser.add_argument("--raw", action="store_true", help="also write anchor channels as nnU-Net channel files")
    parser.add_argument("--branches", nargs="+", action="extend", choices=("anchor", "detection"), help="default: both")
    parser.add_argument("--no-crops", action="store_true", help="leave SmallHard's VOI crops as they are")
    parser.add_argument(
        "--jittered-crops",
        type=int,
        metavar="N",
        help="N further training crops a patient and target, as far off the true centre, in any direction, as "
        "detections of other patients were (default: as many as before, at first none)",
    )
    parser.add_argument(
        "--in-sample", action="store_true", help="only anchor probabilities by models that saw the case, to compare"
    )
    add_tiling(parser)


@_command("Make the out-of-fold anchor probabilities, and heat maps and VOI crops once they can be.", _add_channels)
def channels(arguments: argparse.Namespace) -> None:
    """Run each fold's model on the cases that it did not train on."""
    from soars_nnunet.guidance.channels import make_channels

    cascade = Cascade.load(arguments.dataset)
    done = make_channels(
        cascade,
        arguments.plans_name,
        to_device(arguments.device),
        arguments.raw,
        _say,
        arguments.branches or ("anchor", "detection"),
        not arguments.no_crops,
        arguments.jittered_crops,
        arguments.in_sample,
        to_tiling(arguments),
    )
    kind = "in-sample" if arguments.in_sample else "out-of-fold"
    _say(f"{kind} output complete: {', '.join(done)}; next: soars-plan -d {arguments.dataset}")


def _add_cascade_predict(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-i", "--input", required=True, type=Path, help="CT file (NIfTI, NRRD, MHA) or a folder of CTs")
    parser.add_argument("-o", "--output", required=True, type=Path, help="folder for label volumes and reports")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("-d", "--dataset", help="source dataset (optional where only one cascade is trained)")
    group.add_argument("-m", "--models", type=Path, help="folder of a cascade's manifest.json")
    add_plans(parser)
    add_device(parser)
    parser.add_argument(
        "--folds", nargs="+", action="extend", type=int, help="folds to average (default: all trained ones of a branch)"
    )
    add_tiling(parser)
    add_tta(parser)
    parser.add_argument("--overwrite", action="store_true", help="predict again where a verified result exists")
    parser.add_argument("--no-postprocessing", action="store_true", help="labels as the networks put them")
    parser.add_argument(
        "--roi-subset",
        nargs="+",
        action="extend",
        metavar="ORGAN",
        help="only these; runs no branch that they do not need",
    )
    parser.add_argument("--fast", action="store_true", help="--large-tiles, and one fold of each branch: less accurate")
    parser.add_argument(
        "--memory-limit", type=positive, metavar="GIB", help="refuse a CT that would need more (default: what is free)"
    )
    parser.add_argument("--num-parts", type=int, default=1, help="processes among which the CTs are shared out")
    parser.add_argument("--part-id", type=int, default=0, help="which of them this one is, from 0")


@_command("Segment CTs with the trained cascade: one label volume and one report per CT.", _add_cascade_predict)
def cascade_predict(arguments: argparse.Namespace) -> None:
    """Predict every CT; the report beside each volume holds volumes, status and confidence."""
    from soars_nnunet.cascade.manifest import locate_manifest
    from soars_nnunet.prediction.files import predict_files

    manifest = locate_manifest(arguments.dataset, arguments.models, arguments.plans_name)
    predict_files(
        arguments.input,
        arguments.output,
        manifest,
        folds=arguments.folds,
        device=to_device(arguments.device),
        tiling=to_tiling(arguments),
        overwrite=arguments.overwrite,
        progress=_say,
        postprocess=not arguments.no_postprocessing,
        mirror=arguments.tta,
        organs=arguments.roi_subset,
        part=(arguments.part_id, arguments.num_parts),
        fast=arguments.fast,
        memory_limit_gib=arguments.memory_limit,
    )


def _add_cross_validate(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser)
    add_plans(parser)
    add_device(parser)
    add_tiling(parser)
    add_tta(parser)
    parser.add_argument(
        "--folds", nargs="+", action="extend", type=int, help="only their validation cases; then nothing is decided"
    )


@_command(
    "Predict and score every training case with its own fold's models; decide the post-processing of organs.",
    _add_cross_validate,
)
def cross_validate(arguments: argparse.Namespace) -> None:
    """Cross-validate the whole cascade; later predictions keep the largest part where that helped."""
    from soars_nnunet.cross_validate import cross_validate as run
    from soars_nnunet.evaluation.evaluate import format_table, write_evaluation
    from soars_nnunet.prediction.postprocess import format_effects

    cascade = Cascade.load(arguments.dataset)
    evaluation, effects, folder = run(
        cascade,
        arguments.plans_name,
        to_device(arguments.device),
        to_tiling(arguments),
        arguments.tta,
        arguments.folds,
        _say,
    )
    _say(format_table(evaluation))
    stem = "evaluation" if arguments.folds is None else f"evaluation_folds_{'_'.join(map(str, arguments.folds))}"
    for path in write_evaluation(evaluation, folder, stem):
        _say(f"wrote {path}")
    decided = "" if arguments.folds is None else " (of some folds, so nothing is decided)"
    _say("\n".join([f"largest part alone, out of fold{decided}:", *format_effects(effects)]))


@_command("Scores per organ, tier and target; or compares methods that were scored.", add_evaluate_arguments)
def evaluate(arguments: argparse.Namespace) -> None:
    """Compare label files of the same name, or finished evaluations; write tables."""
    run_evaluate(arguments, _say)


@_command("One self-contained HTML file for an evaluation, or for each prediction.", html_report.add_arguments)
def report(arguments: argparse.Namespace) -> None:
    """Write pages with tables, plots, slices and an offline viewer."""
    html_report.run(arguments, _say)


def _add_phantom(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-d", "--dataset", type=int, default=42, help="id of the new dataset (default: %(default)s)")
    parser.add_argument("--name", default="Phantom", help="name of the new raw dataset (default: %(default)s)")
    parser.add_argument("--train", type=int, default=8, help="training phantoms (default: %(default)s)")
    parser.add_argument("--test", type=int, default=3, help="test phantoms (default: %(default)s)")
    parser.add_argument("--shape", nargs=3, type=int, default=(96, 80, 80), metavar=("Z", "Y", "X"), help="voxels")
    parser.add_argument("--spacing", nargs=3, type=float, default=(3.0, 3.0, 3.0), metavar=("Z", "Y", "X"), help="mm")
    parser.add_argument("--seed", type=int, default=0, help="first patient (default: %(default)s)")


@_command("Draw synthetic head-and-neck CTs with 42 organs as a raw nnU-Net dataset.", _add_phantom)
def phantom(arguments: argparse.Namespace) -> None:
    """Write synthetic training and test cases."""
    from soars_nnunet.phantom.dataset import write_phantom_dataset

    if not 0 < arguments.dataset < 1000:
        raise ValueError(f"-d: expected a dataset id between 1 and 999, got {arguments.dataset}")
    folder = raw_folder() / f"Dataset{arguments.dataset:03d}_{arguments.name}"
    write_phantom_dataset(
        folder, arguments.train, arguments.test, tuple(arguments.shape), tuple(arguments.spacing), arguments.seed, _say
    )
    _say(f"wrote {folder}; next: soars-stratify -d {arguments.dataset} -p hn42")


@_command("Write a public data set, or masks of your own, as a raw nnU-Net dataset.", _add_import)
def import_(arguments: argparse.Namespace) -> None:
    """Import; list everything odd, also in import_report.txt and .json beside the data."""
    from soars_nnunet.importing.dataset import import_set
    from soars_nnunet.importing.public_sets import load_set

    table = load_set(arguments.set, arguments.choose)
    chosen = (arguments.profile, arguments.structures, arguments.name, arguments.without_ct)
    done = import_set(table, arguments.source, arguments.dataset, *chosen, _say)
    _say("\n".join([*done.lines(), *table.notes, done.next_step()]))
    done.require_all()
