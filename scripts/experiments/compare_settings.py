#!/usr/bin/env python
r"""Train a branch with different regime values and compare them on the same cases.

    python -m scripts.experiments.compare_settings -d 9 --folds 0 -o OUT --set step_size=[0.75,0.75,0.75] \
        --arm p_mirror=0 --arm p_mirror=0.5 --arm p_mirror=0.5 genotype=2D3,2D5,2D3,3D5 -- --regime demo

Works on a stratified dataset whose branch can be planned, in the environment's nnU-Net folders; what follows ``--``
goes to soars-plan, ``--set`` to all arms. ``genotype=`` in an arm names the kinds of the network's four blocks. The
first arm is what the others are compared with. The folds of the branch train in every arm; each case is scored by the
network that did not train on it, by nnU-Net's own validation of whole volumes, without mirroring; step_size says how
far apart its tiles are. Finished steps are kept, and arms can be added to them.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from scripts.experiments.paired import paired_table, validation_dice
from scripts.experiments.runner import Runner, add_options, parse
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.networks.genotype import validate_genotype

FINISHED = "validation/summary.json"
GENOTYPE = "genotype="
"""What the part of an arm begins with that is no regime value."""


class Comparison(Runner):
    """Trains one branch once an arm."""

    FREE = (*Runner.FREE, "arm", "folds")

    def plans_of(self, arm: str) -> str:
        """Plans name of an arm's settings."""
        return "Arm_" + re.sub(r"[^A-Za-z0-9]+", "_", arm).strip("_")

    def everything(self) -> str:
        """All trainings; returns the table."""
        branch = self.options.branch
        folds = self.options.folds or range(len(self.cascade.splits()))
        arms = {" ".join(settings): settings for settings in self.options.arm}
        for name, settings in arms.items():
            self.plan_arm(name, settings)
        trainings = [(name, fold) for name in arms for fold in folds]
        self.map(lambda training: self.train_arm(training[0], training[1]), trainings)
        labels = read_json(self.cascade.raw(branch) / "dataset.json")["labels"]
        dice = {}
        for name in arms:
            folders = [self.folder(branch, self.plans_of(name), fold) for fold in folds]
            dice[name] = validation_dice(folders, labels)
        return paired_table(dice)

    def plan_arm(self, name: str, settings: Sequence[str]) -> None:
        """Plan an arm with its regime values, and with its genotype where it names one."""
        values = [setting for setting in settings if not setting.startswith(GENOTYPE)]
        plan_options = []
        for setting in settings:
            if setting.startswith(GENOTYPE):
                path = self.output / f"{self.plans_of(name)}.json"
                write_genotype(path, self.options.branch, setting.removeprefix(GENOTYPE))
                plan_options = ["--genotype", str(path)]
        self.plan(self.plans_of(name), [self.options.branch], values + ["final_validation=true"], plan_options)

    def train_arm(self, name: str, fold: int) -> None:
        """Train a fold of an arm up to its validation."""
        self.train(self.options.branch, self.plans_of(name), fold, finished=FINISHED)


def write_genotype(path: Path, branch: str, kinds: str) -> None:
    """Genotype file of a branch, from kinds such as ``2D3,2D5,2D3,3D5``.

    Raises:
        ValueError: If they are no genotype.
    """
    genotype = kinds.split(",")
    validate_genotype(genotype)
    write_json(path, {branch: {"kinds": genotype}})


def require_usable(parser: argparse.ArgumentParser, options: argparse.Namespace) -> argparse.Namespace:
    """The options, unless an arm's genotype is none: that is said before anything trains."""
    for settings in options.arm:
        for setting in settings:
            if setting.startswith(GENOTYPE):
                try:
                    validate_genotype(setting.removeprefix(GENOTYPE).split(","))
                except ValueError as error:
                    parser.error(f"--arm {setting}: {error}")
    return options


def main() -> None:
    """Parse, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--branch", default="anchor", choices=("anchor", "mid_level", "baseline"))
    parser.add_argument("--folds", nargs="+", action="extend", type=int, default=[], help="only these (default: all)")
    text = "regime values, and genotype=KIND,KIND,KIND,KIND"
    parser.add_argument("--arm", nargs="+", action="append", required=True, metavar="KEY=VALUE", help=text)
    comparison = Comparison(require_usable(parser, parse(parser)))
    comparison.report("settings.md", comparison.everything())


if __name__ == "__main__":
    main()
