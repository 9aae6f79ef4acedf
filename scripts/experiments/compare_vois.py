#!/usr/bin/env python
r"""Small & hard organs from the whole CT, from CT in VOIs, from CT and heat maps in VOIs: equal networks, equal steps.

    soars-stratify -d 16 -p hn42 --folds 4
    python -m scripts.experiments.compare_vois -d 16 --whole 17 -o OUT --folds 0 1 2 3 --seeds 0 1 \
        -- --regime demo --spacing 3 3 3

Trains anchors and detection in all folds, makes the crops, then every arm in ``--folds``; in nnU-Net folders of its
own. What follows ``--`` goes to soars-plan. All arms have the small & hard branch's settings, spacing and genotype; the
one from the whole CT is trained as an anchor of a dataset ``--whole`` that has the small & hard organs alone and the
same images, which this script makes. Scored are the validation cases of ``--folds``, by models that did not see them,
all with tiles half a patch apart. Finished steps are kept.
"""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts import markdown
from scripts.experiments.paired import Dice, evaluation_dice, mean_of, paired_table
from scripts.experiments.runner import ALL_3D3, EVERYWHERE, HALF_STEPS, Runner, add_options, parse
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.raw_cases import training_cases
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.evaluation.evaluation_file import read_evaluation
from soars_nnunet.settings.table import regimes

GUIDING = ("anchor", "detection")
ALIKE = EVERYWHERE + HALF_STEPS
"""How all networks run."""


@dataclass(frozen=True)
class VoiArm:
    """An arm whose network sees VOIs.

    Attributes:
        name: In the table.
        plans: Plans name, which a seed is added to.
        guidance: Of soars-plan: ``none`` or ``anchor``, which is the heat maps for this branch.
        settings: Regime values of its own.
    """

    name: str
    plans: str
    guidance: str
    settings: tuple[str, ...] = ()


WHOLE = "whole CT"
"""Arm of the network that sees the whole CT."""
CT_IN_VOIS = VoiArm("CT in VOIs", "VoiCT", "none")
VOI_ARMS = (CT_IN_VOIS, VoiArm("CT + heat maps in VOIs", "VoiHeat", "anchor"))


class Arms(Runner):
    """Plans, trains and scores the tier of an arm."""

    FREE = (*Runner.FREE, "seeds", "arm")
    tier = "small_hard"
    """Where the organs are scored: the branch that is trained, too."""

    def check_dataset(self) -> None:
        """Only the branches that this trains, and no plans that these would replace."""
        if "mid_level" in self.cascade.datasets:
            sys.exit("error: expected a dataset without mid-level organs; stratify it with a profile that has none")
        if self.cascade.plans("anchor", DEFAULT_PLANS).is_file():
            sys.exit(f"error: {self.cascade.source} has plans; stratify it in nnU-Net folders for this alone")

    def genotype(self) -> list[str]:
        """Option of soars-plan: the given file, else all 3D3."""
        if self.options.genotype is not None:
            return ["--genotype", self.options.genotype]
        path = self.output / "genotype.json"
        kinds = {"kinds": ALL_3D3}
        write_json(path, dict.fromkeys((*GUIDING, "small_hard"), kinds))
        return ["--genotype", str(path)]

    def guide(self) -> None:
        """Anchors and detection of all folds, and the crops."""
        for branch in GUIDING:
            self.plan(DEFAULT_PLANS, [branch], plan_options=self.genotype())
            self.train_folds(branch)
            command = ["soars-channels"] + self.common() + ["--branches", branch]
            command += ALIKE
            self.run(f"channels_{branch}", command)

    def train_folds(self, branch: str) -> None:
        """All folds of a guiding branch."""
        folds = range(len(self.cascade.splits()))
        self.map(lambda fold: self.train(branch, DEFAULT_PLANS, fold), folds)

    def score(self, plans: str) -> None:
        """Predict and score the cases of the folds."""
        self.cross_validate(plans, ALIKE, self.options.folds)

    def row(self, plans: str) -> list[str]:
        """Mean DSC in percent, missed organs, mean HD in mm of the organs that were found."""
        dice, hd_mm = [], []
        for score in read_evaluation(self.evaluation(plans)).scores:
            if score.tier != self.tier or score.dsc is None:
                continue
            dice.append(score.dsc)
            if score.hd_mm is not None:
                hd_mm.append(score.hd_mm)
        missed = len(dice) - len(hd_mm)
        distance = f"{np.mean(hd_mm):.1f}" if hd_mm else "-"
        return [f"{100 * np.mean(dice):.1f}", f"{missed} of {len(dice)}", distance]

    def dice(self, plans: str) -> Dice:
        """DSC by organ and case."""
        return evaluation_dice(self.evaluation(plans), self.tier)


class WholeArms(Arms):
    """The same of the dataset in which small & hard organs are anchors."""

    tier = "anchor"


@dataclass(frozen=True)
class Variant:
    """One plans name of an arm, with one seed.

    Attributes:
        arm: Name of the arm.
        seed: Of the training.
        runner: Of the arm's dataset.
        plans: Plans name.
    """

    arm: str
    seed: int
    runner: Arms
    plans: str


def make_whole(cascade: Cascade, number: int, output: Path) -> Path:
    """Raw dataset of the same images and labels, and a profile in which the small & hard organs are anchors.

    Returns:
        The profile.
    """
    profile = cascade.profile.to_dict()
    profile.pop("halves", None)  # of organs that are left out
    organs: list[dict[str, Any]] = []
    for organ in profile["organs"]:
        if organ["tier"] == "small_hard":
            changes: dict[str, Any] = {"tier": "anchor", "target": None, "composite": [], "label": len(organs) + 1}
            organs.append(organ | changes)
    path = output / "whole.json"
    write_json(path, profile | {"name": "whole", "organs": organs})
    source = raw_folder() / cascade.source
    dataset_json = read_json(source / "dataset.json")
    listed = {}
    for case, (image, label) in training_cases(cascade.source, dataset_json).items():
        listed[case] = {"images": [str(image)], "label": str(label)}
    dataset_json["dataset"] = listed
    target = raw_folder() / f"Dataset{number:03d}_{cascade.source[11:]}"
    target.mkdir(exist_ok=True)
    write_json(target / "dataset.json", dataset_json)
    return path


def whole_options(cascade: Cascade, plans: str, output: Path) -> tuple[list[str], list[str]]:
    """Settings, and options of soars-plan, that give anchors the small & hard branch's spacing, patch and genotype."""
    planned = PlansFile.read(cascade.plans("small_hard", plans))
    configuration = planned.configuration
    genotype = output / "genotype_whole.json"
    write_json(genotype, {"anchor": {"kinds": configuration["architecture"]["arch_kwargs"]["genotype"]}})
    values = configuration["soars"]
    settings = []
    for key in regimes()[values["regime"]]["all"]:
        settings.append(f"anchor.{key}={json.dumps(values[key])}")
    spacing = [str(mm) for mm in planned.spacing_mm]
    return settings, ["--spacing"] + spacing + ["--genotype", str(genotype)]


def voi_arms(more: Sequence[Sequence[str]]) -> list[VoiArm]:
    """``VOI_ARMS``, and one with heat maps for each further list of settings."""
    arms = list(VOI_ARMS)
    for settings in more:
        name = "_".join(settings)
        plans = "Voi_" + re.sub(r"[^A-Za-z0-9]+", "_", name + "_")
        arms.append(VoiArm(" ".join(settings), plans, "anchor", tuple(settings)))
    return arms


def plan_variants(vois: Arms, whole: Arms) -> list[Variant]:
    """Plan every arm with every seed; the whole CT first, with the settings of the CT in VOIs."""
    prefix = vois.options.name
    in_vois = []
    for arm in voi_arms(vois.options.arm):
        for seed in vois.options.seeds:
            plans = f"{prefix}{arm.plans}{seed}"
            settings = [f"seed={seed}"] + list(arm.settings)
            vois.plan(plans, ["small_hard"], settings, ["--guidance", arm.guidance] + vois.genotype())
            in_vois.append(Variant(arm.name, seed, vois, plans))
    of_whole = []
    for seed in vois.options.seeds:
        alike, plan_options = whole_options(vois.cascade, f"{prefix}{CT_IN_VOIS.plans}{seed}", vois.output)
        plans = f"{prefix}Whole{seed}"
        whole.plan(plans, ["anchor"], alike, plan_options)
        of_whole.append(Variant(WHOLE, seed, whole, plans))
    return of_whole + in_vois


def train_and_score(vois: Arms, variants: Sequence[Variant]) -> None:
    """Train and score every variant, as many at a time as the options say."""
    trainings = [(variant, fold) for variant in variants for fold in vois.options.folds]

    def train(training: tuple[Variant, int]) -> None:
        variant, fold = training
        variant.runner.train(variant.runner.tier, variant.plans, fold)

    vois.map(train, trainings)
    vois.map(lambda variant: variant.runner.score(variant.plans), variants)


def tables(variants: Sequence[Variant], groups: Sequence[Sequence[str]]) -> str:
    """Markdown: a row a variant, then the arms' differences to the whole CT by organ."""
    lines = markdown.heading(["arm", "seed", "DSC %", "missed", "HD mm"])
    trainings: dict[str, list[Dice]] = {}
    for variant in variants:
        lines.append(markdown.row([variant.arm, str(variant.seed)] + variant.runner.row(variant.plans)))
        trainings.setdefault(variant.arm, []).append(variant.runner.dice(variant.plans))
    arms = {arm: mean_of(dice) for arm, dice in trainings.items()}
    return "\n".join(lines) + "\n\n" + paired_table(arms, groups)


def stratified_whole(vois: Arms) -> Arms:
    """Runner of the dataset whose anchors are the small & hard organs; exits if its folds are others."""
    options = vois.options
    profile = make_whole(vois.cascade, options.whole, options.output)
    folds = len(vois.cascade.splits())
    command = ["soars-stratify", "-d", str(options.whole), "-p", str(profile), "--folds", str(folds)]
    vois.run("stratify", command)
    shared = vars(options) | {"dataset": options.whole, "output": options.output / "whole"}
    whole = WholeArms(argparse.Namespace(**shared))
    if whole.cascade.splits() != vois.cascade.splits():
        sys.exit(f"error: datasets {options.dataset} and {options.whole} have other folds; choose another --whole")
    return whole


def main() -> None:
    """Parse, train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--whole", type=int, required=True, metavar="ID", help="number of the dataset that is made")
    parser.add_argument("--genotype", help="file of all three branches' genotypes (default: all 3D3)")
    parser.add_argument("--name", default="", help="put before the plans' names, to keep runs of other settings apart")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folds", type=int, nargs="+", default=[0])
    text = "a further arm with heat maps and these regime values, as p_guidance_dropout=0.5"
    parser.add_argument("--arm", nargs="+", action="append", default=[], metavar="KEY=VALUE", help=text)
    options = parse(parser)
    vois = Arms(options)
    whole = stratified_whole(vois)
    vois.guide()
    variants = plan_variants(vois, whole)
    train_and_score(vois, variants)
    splits = vois.cascade.splits()
    groups = [splits[fold]["val"] for fold in options.folds]
    vois.seconds |= whole.seconds
    vois.report("vois.md", tables(variants, groups))


if __name__ == "__main__":
    main()
