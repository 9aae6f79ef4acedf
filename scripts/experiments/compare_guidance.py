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
import shutil
import sys
from pathlib import Path

from scripts.experiments.paired import paired_table
from scripts.experiments.runner import Runner, add_options, parse
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json

ARMS = {
    "CT only": ("CTOnly", "none"),
    "anchors in-sample": ("InSample", "in-sample"),
    "anchors out of fold": ("OutOfFold", "anchor"),
}
"""Plans name and ``--guidance`` of each arm."""
TILES = ("--everywhere", "--large-tiles")
"""How all networks run: anchors and their reach are no part of the arm from CT alone."""


class Comparison(Runner):
    """Trains anchors once and mid-level once an arm."""

    def check_dataset(self) -> None:
        """Cross-validation needs every branch; the comparison has two, and plans of its own."""
        if self.cascade.plans("anchor", DEFAULT_PLANS).is_file():
            sys.exit(f"error: {self.cascade.source} has plans; stratify it in nnU-Net folders for this alone")
        if set(self.cascade.datasets) - {"baseline"} != {"anchor", "mid_level"}:
            sys.exit("error: expected a dataset with anchors and mid-level organs alone; stratify with such a profile")

    def everything(self) -> None:
        """All trainings, then predictions and scores of each arm."""
        folds = range(len(self.cascade.splits()))
        self.plan(DEFAULT_PLANS, ["anchor"])
        self.map(lambda fold: self.train("anchor", DEFAULT_PLANS, fold), folds)
        for options in ((), ("--in-sample",)):
            self.run(f"channels{''.join(options)}", "soars-channels", *self.common(), *TILES, *options)
        for plans, guidance in ARMS.values():
            self.plan(plans, ["mid_level"], (), "--guidance", guidance)
        trainings = [(plans, fold) for fold in folds for plans, _ in ARMS.values()]
        self.map(lambda training: self.train("mid_level", *training), trainings)
        self.map(self.cross_validate, [plans for plans, _ in ARMS.values()])

    def common(self) -> tuple[str, ...]:
        """Options of every command."""
        return ("-d", str(self.options.dataset), "--device", self.options.device)

    def cross_validate(self, plans: str) -> None:
        """Predict and score every case by its own fold."""
        if not self.evaluation(plans).is_file():
            command = ("soars-cross-validate", *self.common(), "--plans-name", plans, *TILES)
            self.run(f"cross_validate_{plans}", *command)
            done = self.cascade.manifest(plans).parent / "cross_validation" / "evaluation.json"
            shutil.copyfile(done, self.evaluation(plans))

    def evaluation(self, plans: str) -> Path:
        """Scores of an arm."""
        return self.output / f"evaluation_{plans}.json"

    def dice(self, plans: str) -> dict[str, dict[str, float]]:
        """DSC of the mid-level organs, by organ and case; what nobody drew is left out."""
        found: dict[str, dict[str, float]] = {}
        for score in read_json(self.evaluation(plans))["scores"]:
            if score["tier"] == "mid_level" and score["dsc"] is not None:
                found.setdefault(score["organ"], {})[score["case"]] = score["dsc"]
        return found


def main() -> None:
    """Parse, train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    comparison = Comparison(parse(parser))
    comparison.everything()
    folds = [split["val"] for split in comparison.cascade.splits()]
    text = paired_table({arm: comparison.dice(plans) for arm, (plans, _) in ARMS.items()}, folds)
    (comparison.output / "guidance.md").write_text(text + "\n", encoding="utf-8")
    print(f"minutes: {comparison.minutes()}", text, sep="\n\n")


if __name__ == "__main__":
    main()
