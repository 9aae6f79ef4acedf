#!/usr/bin/env python
"""Whether anchors help mid-level: from CT alone, with anchors of models that saw the case, with anchors out of fold.

    soars-stratify -d 7 -p openkbp7 --folds 3
    python -m scripts.experiments.compare_guidance -d 7 -o OUT -- --regime demo

Works on a stratified dataset without a small & hard tier, in nnU-Net folders of its own; what follows ``--`` goes to
soars-plan. One training of the anchors; then every fold of mid-level in each arm, with equal plans, and equal steps
and seed under a regime that fixes them, as demo does. The whole cascade of its own fold predicts every case, which
its models did not see. Finished steps are kept.
"""

import argparse
import sys

from scripts.experiments.paired import evaluation_dice, paired_table
from scripts.experiments.runner import Runner, add_options, parse
from soars_nnunet.cascade.record import DEFAULT_PLANS

ARMS = {
    "CT only": ("CTOnly", "none"),
    "anchors in-sample": ("InSample", "in-sample"),
    "anchors out of fold": ("OutOfFold", "anchor"),
}
"""Plans name and ``--guidance`` of each arm."""

TILES = ("--tiling", "everywhere-large")
"""All of the patient's box, on few large tiles: the arms differ in guidance alone, and are predicted sooner."""


class Comparison(Runner):
    """Trains anchors once and mid-level once an arm."""

    def check_dataset(self) -> None:
        """Cross-validation needs every branch; the comparison has two, and plans of its own."""
        if self.cascade.plans("anchor", DEFAULT_PLANS).is_file():
            sys.exit(f"error: {self.cascade.source} has plans; stratify it in nnU-Net folders for this alone")
        if set(self.cascade.datasets) - {"baseline"} != {"anchor", "mid_level"}:
            sys.exit("error: expected a dataset with anchors and mid-level organs alone; stratify with such a profile")

    def everything(self) -> str:
        """All trainings, then predictions and scores of each arm; returns the table."""
        folds = range(len(self.cascade.splits()))
        self.plan(DEFAULT_PLANS, ["anchor"])
        self.map(lambda fold: self.train("anchor", DEFAULT_PLANS, fold), folds)
        self.channels("channels", [])
        self.channels("channels--in-sample", ["--in-sample"])
        names = []
        for plans, guidance in ARMS.values():
            self.plan(plans, ["mid_level"], plan_options=["--guidance", guidance])
            names.append(plans)
        trainings = [(plans, fold) for fold in folds for plans in names]
        self.map(lambda training: self.train("mid_level", training[0], training[1]), trainings)
        self.map(lambda plans: self.cross_validate(plans, TILES), names)
        dice = {arm: evaluation_dice(self.evaluation(plans), "mid_level") for arm, (plans, _) in ARMS.items()}
        return paired_table(dice, [split["val"] for split in self.cascade.splits()])

    def channels(self, log: str, options: list[str]) -> None:
        """Anchors' output as guidance."""
        command = ["soars-channels"] + self.common()
        command += TILES
        self.run(log, command + options)


def main() -> None:
    """Parse, train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    comparison = Comparison(parse(parser))
    comparison.report("guidance.md", comparison.everything())


if __name__ == "__main__":
    main()
