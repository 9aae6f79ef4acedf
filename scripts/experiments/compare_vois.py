#!/usr/bin/env python
"""Small & hard organs from the whole CT, from CT in VOIs, from CT and heat maps in VOIs: equal networks, equal steps.

    soars-stratify -d 16 -p hn42 --folds 4
    python -m scripts.experiments.compare_vois -d 16 --whole 17 -o OUT \
        --folds 0 1 2 3 --seeds 0 1 -- --regime demo --spacing 3 3 3

Trains anchors and detection in all folds, makes the crops, then every arm in ``--folds``; in nnU-Net folders of its
own. What follows ``--`` goes to soars-plan. All arms have the small & hard branch's settings, spacing and genotype; the
one from the whole CT is trained as an anchor of a dataset ``--whole`` that has the small & hard organs alone and the
same images, which this script makes. Scored are the validation cases of ``--folds``, by models that did not see them,
all with tiles half a patch apart. Finished steps are kept.
"""

import argparse
import json
import re
import shutil
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from scripts.experiments.paired import Dice, mean_of, paired_table
from scripts.experiments.runner import Runner, add_options, parse
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.raw_cases import training_cases
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.networks.genotype import NUM_BLOCKS
from soars_nnunet.regime import regimes

WHOLE = "whole CT"
"""Arm of the network that sees the whole CT."""
VOI_ARMS: dict[str, tuple[str, str, Sequence[str]]] = {
    "CT in VOIs": ("VoiCT", "none", ()),
    "CT + heat maps in VOIs": ("VoiHeat", "anchor", ()),
}
"""Plans name, which a seed is added to, ``--guidance`` and settings of the arms in VOIs."""
GUIDING = ("anchor", "detection")
ALIKE = ("--everywhere", "--step-size", "0.5")
"""How all networks run."""


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
        path = self.options.genotype
        if path is None:
            path = str(self.output / "genotype.json")
            write_json(Path(path), {branch: {"kinds": ["3D3"] * NUM_BLOCKS} for branch in (*GUIDING, "small_hard")})
        return ["--genotype", path]

    def guide(self) -> None:
        """Anchors and detection of all folds, and the crops."""
        folds = range(len(self.cascade.splits()))
        for branch in GUIDING:
            self.plan(DEFAULT_PLANS, [branch], (), *self.genotype())
            self.map(partial(self.train, branch, DEFAULT_PLANS), folds)
            command = ["soars-channels", *self.common(), *ALIKE, "--branches", branch]
            self.run(f"channels_{branch}", *command)

    def common(self) -> list[str]:
        """Options of every command."""
        return ["-d", str(self.options.dataset), "--device", self.options.device]

    def score(self, plans: str) -> None:
        """Predict and score the cases of the folds."""
        if not self.evaluation(plans).is_file():
            folds = [str(fold) for fold in self.options.folds]
            command = ["soars-cross-validate", *self.common(), "--plans-name", plans, *ALIKE, "--folds", *folds]
            self.run(f"cross_validate_{plans}", *command)
            done = self.cascade.manifest(plans).parent / "cross_validation"
            shutil.copyfile(done / f"evaluation_folds_{'_'.join(folds)}.json", self.evaluation(plans))

    def evaluation(self, plans: str) -> Path:
        """Scores of an arm with a seed."""
        return self.output / f"evaluation_{plans}.json"

    def scores(self, plans: str) -> list[dict]:
        """Of the tier's organs, of those that somebody drew."""
        rows = read_json(self.evaluation(plans))["scores"]
        return [row for row in rows if row["tier"] == self.tier and row["dsc"] is not None]

    def row(self, plans: str) -> list[str]:
        """Mean DSC in percent, missed organs, mean HD in mm of the organs that were found."""
        scores = self.scores(plans)
        found = [score["hd_mm"] for score in scores if score["hd_mm"] is not None]
        dsc = 100 * float(np.mean([score["dsc"] for score in scores]))
        return [f"{dsc:.1f}", f"{len(scores) - len(found)} of {len(scores)}", f"{np.mean(found):.1f}" if found else "-"]

    def dice(self, plans: str) -> Dice:
        """DSC by organ and case."""
        found: dict[str, dict[str, float]] = {}
        for score in self.scores(plans):
            found.setdefault(score["organ"], {})[score["case"]] = score["dsc"]
        return found


class WholeArms(Arms):
    """The same of the dataset in which small & hard organs are anchors."""

    tier = "anchor"


def make_whole(cascade: Cascade, number: int, output: Path) -> Path:
    """Raw dataset of the same images and labels, and a profile in which the small & hard organs are anchors.

    Returns:
        The profile.
    """
    profile = cascade.profile.to_dict()
    organs = [organ for organ in profile["organs"] if organ["tier"] == "small_hard"]
    changes = {"tier": "anchor", "target": None, "composite": []}
    profile |= {"name": "whole", "organs": [{**o, **changes, "label": i} for i, o in enumerate(organs, 1)]}
    path = output / "whole.json"
    write_json(path, profile)
    source = raw_folder() / cascade.source
    dataset_json = read_json(source / "dataset.json")
    cases = training_cases(cascade.source, dataset_json)
    dataset_json["dataset"] = {case: {"images": [str(i)], "label": str(label)} for case, (i, label) in cases.items()}
    target = raw_folder() / f"Dataset{number:03d}_{cascade.source[11:]}"
    target.mkdir(exist_ok=True)
    write_json(target / "dataset.json", dataset_json)
    return path


def whole_options(cascade: Cascade, plans: str, output: Path) -> tuple[list[str], list[str]]:
    """Settings, and options of soars-plan, that give anchors the small & hard branch's spacing, patch and genotype."""
    planned = PlansFile.read(cascade.plans("small_hard", plans)).configuration
    genotype = output / "genotype_whole.json"
    write_json(genotype, {"anchor": {"kinds": planned["architecture"]["arch_kwargs"]["genotype"]}})
    regime = planned["soars"]["regime"]
    settings = [f"anchor.{key}={json.dumps(planned['soars'][key])}" for key in regimes()[regime]["all"]]
    return settings, ["--spacing", *map(str, planned["spacing"]), "--genotype", str(genotype)]


def voi_arms(more: Sequence[Sequence[str]]) -> dict[str, tuple[str, str, Sequence[str]]]:
    """``VOI_ARMS``, and one with heat maps for each further list of settings."""
    arms = {}
    for settings in more:
        plans = re.sub(r"[^A-Za-z0-9]+", "_", "_".join(("Voi", *settings, "")))
        arms[" ".join(settings)] = (plans, "anchor", settings)
    return VOI_ARMS | arms


def everything(vois: Arms, whole: Arms) -> dict[str, tuple[Arms, list[str]]]:
    """All trainings and predictions; returns whose plans each arm has, a name a seed."""
    arms: dict[str, tuple[Arms, list[str]]] = {WHOLE: (whole, [])}
    kinds = vois.genotype()
    for arm, (name, guidance, settings) in voi_arms(vois.options.arm).items():
        arms[arm] = (vois, [])
        for seed in vois.options.seeds:
            plans = f"{vois.options.name}{name}{seed}"
            vois.plan(plans, ["small_hard"], [f"seed={seed}", *settings], "--guidance", guidance, *kinds)
            arms[arm][1].append(plans)
    for seed in vois.options.seeds:
        alike, plan_options = whole_options(vois.cascade, f"{vois.options.name}VoiCT{seed}", vois.output)
        plans = f"{vois.options.name}Whole{seed}"
        whole.plan(plans, ["anchor"], alike, *plan_options)
        arms[WHOLE][1].append(plans)
    variants = [(runner, plans) for runner, names in arms.values() for plans in names]
    trainings = [(runner, plans, fold) for runner, plans in variants for fold in vois.options.folds]
    vois.map(lambda t: t[0].train(t[0].tier, t[1], t[2]), trainings)
    vois.map(lambda variant: variant[0].score(variant[1]), variants)
    return arms


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
    profile = make_whole(vois.cascade, options.whole, options.output)
    folds = str(len(vois.cascade.splits()))
    vois.run("stratify", "soars-stratify", "-d", str(options.whole), "-p", str(profile), "--folds", folds)
    shared = {**vars(options), "dataset": options.whole, "output": options.output / "whole"}
    whole = WholeArms(argparse.Namespace(**shared))
    if whole.cascade.splits() != vois.cascade.splits():
        raise SystemExit(
            f"error: datasets {options.dataset} and {options.whole} have other folds; choose another --whole"
        )
    vois.guide()
    arms = everything(vois, whole)
    lines = ["| arm | seed | DSC % | missed | HD mm |", "|---" * 5 + "|"]
    for arm, (runner, names) in arms.items():
        for seed, plans in zip(options.seeds, names, strict=True):
            lines.append(f"| {' | '.join([arm, str(seed), *runner.row(plans)])} |")
    groups = [vois.cascade.splits()[fold]["val"] for fold in options.folds]
    table = paired_table({arm: mean_of([r.dice(p) for p in names]) for arm, (r, names) in arms.items()}, groups)
    text = "\n".join(lines) + "\n\n" + table + "\n"
    (options.output / "vois.md").write_text(text, encoding="utf-8")
    print(f"minutes: {vois.minutes() | whole.minutes()}", text, sep="\n\n")


if __name__ == "__main__":
    main()
