#!/usr/bin/env python
r"""Train a branch with different regime values and compare them on the same cases.

    python -m scripts.experiments.compare_settings -d 7 --branch anchor -o OUT --arm p_mirror=0 --arm p_mirror=0.5 \
        -- --regime demo

Works on a stratified dataset whose branch can be planned, in the environment's nnU-Net folders; what follows ``--``
goes to soars-plan, ``--set`` to all arms. The first arm is what the others are compared with. Every fold of the
branch trains in every arm; each case is scored by the network that did not train on it, by nnU-Net's own validation of
whole volumes, without mirroring. Finished steps are kept.
"""

import argparse
import re

from scripts.experiments.paired import paired_table, validation_dice
from scripts.experiments.runner import Runner, add_options, parse
from soars_nnunet.cascade.storage import read_json

FINISHED = "validation/summary.json"


class Comparison(Runner):
    """Trains one branch once an arm."""

    def plans_of(self, arm: str) -> str:
        """Plans name of an arm's settings."""
        return "Arm_" + re.sub(r"[^A-Za-z0-9]+", "_", arm).strip("_")

    def everything(self) -> str:
        """All trainings; returns the table."""
        branch = self.options.branch
        folds = range(len(self.cascade.splits()))
        arms = {" ".join(settings): settings for settings in self.options.arm}
        for name, settings in arms.items():
            self.plan(self.plans_of(name), [branch], settings + ["final_validation=true"])
        trainings = [(name, fold) for name in arms for fold in folds]
        self.map(lambda training: self.train_arm(training[0], training[1]), trainings)
        labels = read_json(self.cascade.raw(branch) / "dataset.json")["labels"]
        dice = {}
        for name in arms:
            folders = [self.folder(branch, self.plans_of(name), fold) for fold in folds]
            dice[name] = validation_dice(folders, labels)
        return paired_table(dice)

    def train_arm(self, name: str, fold: int) -> None:
        """Train a fold of an arm up to its validation."""
        self.train(self.options.branch, self.plans_of(name), fold, finished=FINISHED)


def main() -> None:
    """Parse, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--branch", default="anchor", choices=("anchor", "mid_level", "baseline"))
    parser.add_argument("--arm", nargs="+", action="append", required=True, metavar="KEY=VALUE", help="regime values")
    comparison = Comparison(parse(parser))
    comparison.report("settings.md", comparison.everything())


if __name__ == "__main__":
    main()
