#!/usr/bin/env python
"""Small & hard organs from the whole CT, from CT in VOIs, from CT and heat maps in VOIs: equal networks, equal steps.

    python scripts/ablation.py -d 16 -o OUT --no-nas ...  # detection of all folds and its VOI crops
    python scripts/compare_vois.py -d 16 --whole 17 -o OUT2 --genotype OUT/genotype_nnUNetPlans.json --seeds 0 1 -- ...

Works in the nnU-Net folders of an ablation, whose plans nnUNetPlans guide the VOIs; what follows ``--`` goes to
soars-plan and must be the ablation's. All arms have the small & hard branch's settings, spacing and genotype; the one
from the whole CT is trained as an anchor of a dataset ``--whole`` that has the small & hard organs alone and the same
images, which this script makes. Scored are the validation cases of ``--fold``, by models that did not see them, all
with tiles half a patch apart. Finished steps are kept.
"""

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
from runner import Runner, add_options, parse

from soars_nnunet.artifacts import CONFIGURATION, Cascade, raw_folder, read_json, write_json
from soars_nnunet.regime import regimes
from soars_nnunet.stratify import training_cases

VOI_ARMS = {
    "CT in VOIs": ("VoiCT", "none", ()),
    "CT + heat maps in VOIs": ("VoiHeat", "anchor", ()),
    "the same, half of the patches without heat maps": ("VoiDropout", "anchor", ("p_guidance_dropout=0.5",)),
}
"""Plans name, which a seed is added to, ``--guidance`` and settings of the arms in VOIs."""
WHOLE = ("whole CT", "Whole")
"""Arm and plans name of the network that sees the whole CT."""


class Arms(Runner):
    """Plans, trains and scores one branch with several seeds."""

    FREE = (*Runner.FREE, "seeds")

    def arm(self, branch: str, plans: str, settings: list[str], *plan_options: str) -> None:
        """Train a branch and score the cascade that it belongs to."""
        if self.evaluation(plans).is_file():
            return
        self.plan(plans, [branch], settings, *plan_options)
        fold = str(self.options.fold)
        self.train(branch, plans, self.options.fold)
        command = ["soars-cross-validate", "-d", str(self.options.dataset), "--plans-name", plans, "--folds", fold]
        alike = ["--device", self.options.device, "--everywhere", "--step-size", "0.5"]
        self.run(f"cross_validate_{plans}", *command, *alike)
        done = self.cascade.manifest(plans).parent / "cross_validation" / f"evaluation_folds_{fold}.json"
        shutil.copyfile(done, self.evaluation(plans))

    def evaluation(self, plans: str) -> Path:
        """Scores of an arm with a seed."""
        return self.output / f"evaluation_{plans}.json"

    def row(self, plans: str, tier: str) -> list[str]:
        """Mean DSC in percent, missed organs, mean HD in mm of the organs that were found."""
        scores = [s for s in read_json(self.evaluation(plans))["scores"] if s["tier"] == tier and s["dsc"] is not None]
        found = [score["hd_mm"] for score in scores if score["hd_mm"] is not None]
        dsc = 100 * float(np.mean([score["dsc"] for score in scores]))
        return [f"{dsc:.1f}", f"{len(scores) - len(found)} of {len(scores)}", f"{np.mean(found):.1f}"]


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
    planned = read_json(cascade.plans("small_hard", plans))["configurations"][CONFIGURATION]
    genotype = output / "genotype_whole.json"
    write_json(genotype, {"anchor": {"kinds": planned["architecture"]["arch_kwargs"]["genotype"]}})
    regime = planned["soars"]["regime"]
    settings = [f"anchor.{key}={json.dumps(planned['soars'][key])}" for key in regimes()[regime]["all"]]
    return settings, ["--spacing", *map(str, planned["spacing"]), "--genotype", str(genotype)]


def main() -> None:
    """Parse, train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--whole", type=int, required=True, metavar="ID", help="number of the dataset that is made")
    parser.add_argument("--genotype", required=True, help="of the small & hard branch")
    parser.add_argument("--name", default="", help="put before the plans' names, to keep runs of other settings apart")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--fold", type=int, default=0)
    options = parse(parser)
    vois = Arms(options)
    profile = make_whole(vois.cascade, options.whole, options.output)
    folds = str(len(vois.cascade.splits()))
    vois.run("stratify", "soars-stratify", "-d", str(options.whole), "-p", str(profile), "--folds", folds)
    whole = Arms(argparse.Namespace(**{**vars(options), "dataset": options.whole, "output": options.output / "whole"}))
    if whole.cascade.splits() != vois.cascade.splits():
        raise SystemExit(
            f"error: datasets {options.dataset} and {options.whole} have other folds; choose another --whole"
        )
    lines = ["| arm | seed | DSC % | missed | HD mm |", "|---" * 5 + "|"]
    for seed in options.seeds:
        rows = {}
        for arm, (name, guidance, settings) in VOI_ARMS.items():
            plans, plan_options = (
                f"{options.name}{name}{seed}",
                ["--guidance", guidance, "--genotype", options.genotype],
            )
            vois.arm("small_hard", plans, [f"seed={seed}", *settings], *plan_options)
            rows[arm] = vois.row(plans, "small_hard")
        alike, plan_options = whole_options(vois.cascade, plans, options.output)
        plans = f"{options.name}{WHOLE[1]}{seed}"
        whole.arm("anchor", plans, alike, *plan_options)
        rows = {WHOLE[0]: whole.row(plans, "anchor"), **rows}
        lines += [f"| {' | '.join([arm, str(seed), *cells])} |" for arm, cells in rows.items()]
        print("\n".join(lines), flush=True)
    (options.output / "vois.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
