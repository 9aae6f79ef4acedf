#!/usr/bin/env python
r"""How the DSC of cases that a network did not train on grows with the length of its training.

    python -m scripts.experiments.learning_curve -d 9 --branch anchor --fold 0 -o OUT --epochs 6 12 24 48 \
        --set step_size=[0.75,0.75,0.75] -- --regime demo
    python -m scripts.experiments.learning_curve -d 9 --branch anchor --fold 0 -o OUT --finished Base6 Base12 Base24

Each number of epochs is a training of its own from the start, as the learning rate falls to its end. What follows
``--`` goes to soars-plan, ``--set`` to all trainings. ``--finished`` takes plans whose fold is trained already. The
fold's validation cases are scored by nnU-Net's own validation of whole volumes. Finished steps are kept, and numbers of
epochs can be added to them.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import markdown
from scripts.experiments.paired import Dice, mean, organ_mean, validation_dice
from scripts.experiments.runner import Runner, add_options, parse
from scripts.training_progress import logged_seconds
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.storage import read_json

FINISHED = "validation/summary.json"


@dataclass(frozen=True)
class Point:
    """One training of the curve.

    Attributes:
        plans: Its plans' name.
        steps: That it trained.
        seconds: That its epochs took, of which its logs know.
        dice: DSC by organ and case, of the fold's validation cases.
    """

    plans: str
    steps: int
    seconds: float
    dice: Dice


class Curve(Runner):
    """Trains one fold of a branch with several numbers of epochs."""

    FREE = (*Runner.FREE, "epochs", "finished")

    def everything(self) -> str:
        """All trainings; returns the table."""
        branch, fold = self.options.branch, self.options.fold
        lengths = {f"Epochs{epochs}": epochs for epochs in self.options.epochs}
        for plans, epochs in lengths.items():
            self.plan(plans, [branch], [f"num_epochs={epochs}", "final_validation=true"])
        self.map(lambda plans: self.train(branch, plans, fold, finished=FINISHED), lengths)
        labels = read_json(self.cascade.raw(branch) / "dataset.json")["labels"]
        points = []
        for plans in [*lengths, *self.options.finished]:
            points.append(self.point(plans, labels))
        return curve_table(points)

    def point(self, plans: str, labels: Mapping[str, int]) -> Point:
        """What a training reached; exits where it is not finished."""
        folder = self.folder(self.options.branch, plans, self.options.fold)
        if not (folder / FINISHED).is_file():
            raise SystemExit(f"error: expected {folder / FINISHED}; train {plans} with final_validation=true")
        settings = PlansFile.read(folder.parent / "plans.json").settings
        steps = settings.num_epochs * (settings.iterations_per_epoch or 0)
        return Point(plans, steps, logged_seconds(training_logs(folder)), validation_dice([folder], labels))


def training_logs(folder: Path) -> list[Path]:
    """nnU-Net's logs of a trained fold."""
    return sorted(folder.glob("training_log_*.txt"))


def curve_table(points: Sequence[Point]) -> str:
    """Markdown: a row a training, by steps; the mean DSC of each organ, and what the mean gains by the row.

    The mean is that of the organs' columns; what it gains is in points, hundredths of DSC.
    """
    ordered = sorted(points, key=lambda point: point.steps)
    organs = [organ for organ, cases in ordered[0].dice.items() if cases]
    header = ["training", "steps", "minutes", "s a step", *organs, "mean", "gain"]
    rows = []
    before: float | None = None
    for point in ordered:
        whole = organ_mean(point.dice)
        cells = [
            point.plans,
            str(point.steps),
            f"{point.seconds / 60:.0f}",
            f"{point.seconds / max(point.steps, 1):.2f}",
        ]
        cells += [f"{mean(point.dice[organ]):.3f}" for organ in organs]
        gain = "-" if before is None else f"{100 * (whole - before):+.1f}"
        rows.append([*cells, f"{whole:.3f}", gain])
        before = whole
    return "\n".join(markdown.table(header, rows))


def main() -> None:
    """Parse, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--branch", default="anchor", choices=("anchor", "mid_level", "baseline"))
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--epochs", nargs="+", type=int, default=[], help="a training of each of these lengths")
    parser.add_argument("--finished", nargs="+", default=[], metavar="PLANS", help="plans that are trained already")
    options = parse(parser)
    if not options.epochs and not options.finished:
        parser.error("expected --epochs or --finished")
    curve = Curve(options)
    curve.report("curve.md", curve.everything())


if __name__ == "__main__":
    main()
