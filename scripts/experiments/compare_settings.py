#!/usr/bin/env python
"""Train a branch with different regime values and compare them on the same cases.

    python -m scripts.experiments.compare_settings -d 7 --branch anchor -o OUT \
        --arm p_mirror=0 --arm p_mirror=0.5 -- --regime demo

Works on a stratified dataset whose branch can be planned, in the environment's nnU-Net folders; what follows ``--``
goes to soars-plan, ``--set`` to all arms. The first arm is what the others are compared with. Every fold of the
branch trains in every arm; each case is scored by the network that did not train on it, by nnU-Net's own validation of
whole volumes, without mirroring. Finished steps are kept.
"""

import argparse
import re
from pathlib import Path

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
        branch, folds = self.options.branch, range(len(self.cascade.splits()))
        arms = {" ".join(arm): arm for arm in self.options.arm}
        for name, arm in arms.items():
            self.plan(self.plans_of(name), [branch], [*arm, "final_validation=true"])
        trainings = [(name, fold) for name in arms for fold in folds]
        done = self.map(lambda t: self.train(branch, self.plans_of(t[0]), t[1], finished=FINISHED), trainings)
        labels = read_json(self.cascade.raw(branch) / "dataset.json")["labels"]
        folders: dict[str, list[Path]] = {name: [] for name in arms}
        for (name, _), folder in zip(trainings, done, strict=True):
            folders[name].append(folder)
        return paired_table({name: validation_dice(folders[name], labels) for name in arms})


def main() -> None:
    """Parse, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--branch", default="anchor", choices=("anchor", "mid_level", "baseline"))
    parser.add_argument("--arm", nargs="+", action="append", required=True, metavar="KEY=VALUE", help="regime values")
    comparison = Comparison(parse(parser))
    text = comparison.everything()
    (comparison.output / "settings.md").write_text(text + "\n", encoding="utf-8")
    print(f"minutes: {comparison.minutes()}", text, sep="\n\n")


if __name__ == "__main__":
    main()
