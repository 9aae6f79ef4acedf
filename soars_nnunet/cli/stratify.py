"""``soars-stratify``: one nnU-Net dataset per branch, and the patient-level split."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from soars_nnunet.cli import guards
from soars_nnunet.cli.command import make_main, say
from soars_nnunet.cli.option_values import whole_number
from soars_nnunet.cli.options import add_alias, add_dataset, add_not_annotated
from soars_nnunet.paper import stated
from soars_nnunet.profile import Profile
from soars_nnunet.stratification.label_table import format_label_table

if TYPE_CHECKING:
    from soars_nnunet.stratification.findings import Stratification
    from soars_nnunet.stratification.label_table import LabelRow
    from soars_nnunet.stratification.remembered import StratifyChoices

STATES = {
    "Anchor": "written",
    "Baseline": "written, all organs; soars-plan plans it too, any nnU-Net plans and trainer will do",
    "MidLevel": "written as a skeleton, soars-channels completes it",
    "Detection": "written as a skeleton, soars-channels completes it",
    "SmallHard": "reserved, soars-channels writes its crops",
}
"""What is there of a dataset after stratification, by the ending of its name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add dataset, profile, split and what is not annotated."""
    add_dataset(parser)
    parser.add_argument(
        "-p",
        "--profile",
        help="the organs: hn42, hn_clinic, miccai2015, openkbp7, or the path of a profile's JSON file; this and the "
        "options below are those of the last run for the dataset, unless given",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="print which organ every label of the dataset means, and what stays unused; write nothing",
    )
    add_alias(parser, "label", "; none: forget those of the last run")
    parser.add_argument(
        "--baseline",
        action=argparse.BooleanOptionalAction,
        help="also write one dataset of all organs, for a network to compare with",
    )
    parser.add_argument(
        "--one-tier",
        action=argparse.BooleanOptionalAction,
        help="segment mid-level organs together with the anchors, by one network: half the training, no guidance",
    )
    parser.add_argument(
        "--folds",
        type=whole_number(2, 9999),
        metavar="N",
        help=f"number of cross-validation folds (default: {stated('folds')})",
    )
    add_not_annotated(parser)
    parser.add_argument(
        "--empty-means-absent",
        action=argparse.BooleanOptionalAction,
        help="an organ without a voxel is not in the patient (default: it is there, but not annotated)",
    )
    parser.add_argument(
        "--leave-out",
        action="store_true",
        help="go on without cases that are incomplete or cannot be used, and without files that belong to no case; "
        "what is left out is recorded (default: they are listed, and the exit code is 2)",
    )
    parser.add_argument(
        "--patient-pattern",
        metavar="REGEX",
        help="regular expression whose first group is the patient in a case name, as '^(P\\d+)_'; scans of one patient "
        "stay on one side of every fold",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="where other options make trained models stale, list these and move them aside (default: refuse)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Write branch datasets and the split; list what dataset and profile do not share."""
    from soars_nnunet.stratification.remembered import remember
    from soars_nnunet.stratification.stratify import StratifyOptions, read_labels, stratify

    choices = _choices(arguments)
    aliases = choices.aliases or {}
    if arguments.check:
        profile = choices.read_profile()
        _say_table(read_labels(arguments.dataset, profile, aliases), profile)
        return
    options = StratifyOptions(
        num_folds=stated("folds") if choices.folds is None else choices.folds,
        patient_pattern=choices.patient_pattern,
        not_annotated=Path(choices.not_annotated) if choices.not_annotated else None,
        empty_means_absent=bool(choices.empty_means_absent),
        baseline=bool(choices.baseline),
        aliases=aliases,
        leave_out=arguments.leave_out,
        overwrite=arguments.overwrite,
    )
    done = stratify(arguments.dataset, choices.read_profile(), options, progress=say)
    remember(done.cascade.source, choices)
    _say_differences(done)
    _say_derived(done)
    if done.assumed:
        listed = "that the file does not list " if options.not_annotated else ""
        say(
            f"warning: in {len(done.assumed)} case(s) organs without a voxel {listed}are taken as there but not drawn: "
            "the training leaves them open; --empty-means-absent if they are absent, --not-annotated FILE to say which"
        )
    if done.ignoring:
        say(
            f"warning: {len(done.ignoring)} case(s) have voxels labelled ignore: the training leaves them open; "
            "detection does not learn the centres of organs that touch them"
        )
    for name in done.cascade.datasets.values():
        ending = name.rpartition("_")[2]
        say(f"{name}: {STATES[ending]}")
    done.require_all()
    say(f"next: soars-plan -d {arguments.dataset}")


def _choices(arguments: argparse.Namespace) -> StratifyChoices:
    """What the user typed, completed by what the last run for the dataset was given, which is said."""
    from soars_nnunet.cascade.aliases import parse_aliases
    from soars_nnunet.stratification.remembered import StratifyChoices, lasting_profile, read_choices

    listed = arguments.not_annotated
    given = StratifyChoices(
        profile=lasting_profile(arguments.profile),
        one_tier=arguments.one_tier,
        baseline=arguments.baseline,
        folds=arguments.folds,
        not_annotated=str(listed.absolute()) if listed else None,
        empty_means_absent=arguments.empty_means_absent,
        patient_pattern=arguments.patient_pattern,
        aliases=parse_aliases(arguments.alias) if arguments.alias else None,
    )
    choices = given.completed(read_choices(arguments.dataset))
    if choices != given:
        say(f"with options of the last run: {choices.typed()}")
    return choices


def _say_table(rows: list[LabelRow], profile: Profile) -> None:
    """Every label of the dataset and its organ, and the organs without a label."""
    for line in format_label_table(rows):
        say(line)
    found = {organ for row in rows for organ in row.organs}
    absent = [organ.name for organ in profile.organs if organ.name not in found]
    if absent:
        say(f"in profile {profile.name}, not in the dataset: {', '.join(absent)}")
    say("nothing written (--check)")


def _say_differences(done: Stratification) -> None:
    """Organs that the dataset or the profile lacks, and contours that are not used."""
    profile = done.cascade.profile
    read = [f"{row.name} -> {' + '.join(row.organs)}" for row in done.rows if row.organs and not row.is_plain]
    if read:
        say(f"read as: {'; '.join(read)}")
    if done.unknown:
        listed = ", ".join(_with_suggestion(name, profile) for name in done.unknown)
        say(f"in the dataset, not in profile {profile.name} (left out): {listed}")
    for row in done.rows:
        if row.is_left_out:
            say(f"warning: {row.name}: {row.remark}")
    if done.absent:
        say(f"in profile {profile.name}, not in the dataset: {', '.join(done.absent)}")
    for case, names in done.unused.items():
        say(f"warning: {case}: {', '.join(names)} listed as not drawn; the contours are not used")


def _say_derived(done: Stratification) -> None:
    """What was made of wholes and halves, in how many cases, and what was doubtful."""
    for derivation in done.cascade.derived:
        name = derivation.organs[0]
        lacking = [case for case in done.cascade.cases if name in done.empty.get(case, ())]
        say(f"made: {derivation}, in {len(done.cascade.cases) - len(lacking)} of {len(done.cascade.cases)} case(s)")
    for case, facts in done.derived.items():
        for note in facts.notes:
            say(f"warning: {case}: {note}")


def _with_suggestion(name: str, profile: Profile) -> str:
    """A name that means no organ, and what it may have meant."""
    suggested = " or ".join(profile.suggest(name))
    return f"{name} (did you mean {suggested}?)" if suggested else name


main = make_main("stratify", add_arguments, run, guard=guards.source_dataset)
