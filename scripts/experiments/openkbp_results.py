"""The results page of openkbp7: out-of-fold scores by organ and fold, steps and time of the trainings.

    python -m scripts.experiments.openkbp_results reproduction_output -o real-ct.md

Reads what reproduce_openkbp.sh leaves in its folder: the cross-validation's scores, the split, the plans and nnU-Net's
logs. Every figure of the page comes from there.
"""

import argparse
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scripts import markdown
from scripts.experiments.paired import Dice, mean, organ_mean
from scripts.training_progress import logged_seconds
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import DEFAULT_PLANS
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.evaluation.evaluation_file import read_evaluation
from soars_nnunet.evaluation.mean_std import format_number
from soars_nnunet.evaluation.scores import Evaluation

DIGITS = {"hd95_mm": ("HD95 mm", 1), "asd_mm": ("ASD mm", 2), "surface_dsc": ("surface DSC", 3)}
"""Heading and decimals of the metrics beside the DSC."""
WORST = 10
"""Percentile that shows how bad the worst cases are."""


@dataclass(frozen=True)
class Recipe:
    """What reproduce_openkbp.sh left.

    Attributes:
        evaluation: Out-of-fold scores of all cases.
        folds: Cases of each fold that its network did not train on.
        plans: Of the network.
        seconds: Of each training, by fold; only of trainings whose logs are there.
    """

    evaluation: Evaluation
    folds: list[list[str]]
    plans: PlansFile
    seconds: dict[int, float]

    @classmethod
    def read(cls, output: Path) -> "Recipe":
        """Find everything in the recipe's folder."""
        results, preprocessed = output / "nnUNet_results", output / "nnUNet_preprocessed"
        scores = only(results, f"Dataset009_*/SOARS__{DEFAULT_PLANS}/cross_validation/evaluation.json")
        splits = read_json(only(preprocessed, "Dataset091_*/splits_final.json"))
        seconds = {}
        for fold in range(len(splits)):
            logs = list(results.glob(f"Dataset091_*/*__{DEFAULT_PLANS}__*/fold_{fold}/training_log_*.txt"))
            if logs:
                seconds[fold] = logged_seconds(logs)
        return cls(
            evaluation=read_evaluation(scores),
            folds=[split["val"] for split in splits],
            plans=PlansFile.read(only(preprocessed, f"Dataset091_*/{DEFAULT_PLANS}.json")),
            seconds=seconds,
        )


def only(folder: Path, pattern: str) -> Path:
    """The one file that matches; exits if there is none or more than one."""
    found = sorted(folder.glob(pattern))
    if len(found) != 1:
        raise SystemExit(
            f"error: expected one {folder}/{pattern}, found {len(found)}; run reproduce_openkbp.sh to its end"
        )
    return found[0]


def dice_of(evaluation: Evaluation) -> Dice:
    """DSC by organ and case, of what was scored."""
    found: dict[str, dict[str, float]] = {}
    for score in evaluation.scores:
        if score.dsc is not None:
            found.setdefault(score.organ, {})[score.case] = score.dsc
    return found


def organ_table(evaluation: Evaluation) -> list[str]:
    """Markdown, a row an organ: cases that have it drawn, DSC, the worst tenth, distances."""
    titles = [title for title, _ in DIGITS.values()]
    header = ["organ", "cases", "DSC", "SD", f"{WORST} % are below", *titles, "missed"]
    rows = []
    dice = dice_of(evaluation)
    for row in evaluation.per_organ():
        values = list(dice.get(row.name, {}).values())
        if not values:
            continue
        cells = [row.name, str(len(values)), format_number(row.dsc.mean, 3), format_number(row.dsc.std, 3)]
        cells.append(f"{np.percentile(values, WORST):.3f}")
        for metric, (_, digits) in DIGITS.items():
            cells.append(format_number(row.summary(metric).mean, digits))
        rows.append([*cells, str(row.missed)])
    return markdown.table(header, rows)


def fold_table(dice: Dice, folds: Sequence[Sequence[str]]) -> list[str]:
    """Markdown, a row a fold: mean DSC by organ."""
    header = ["fold", "cases", *dice, "mean"]
    rows = []
    for fold, cases in enumerate(folds):
        cells = [str(fold), str(len(cases))]
        own = {organ: of_cases(values, cases) for organ, values in dice.items()}
        for values in own.values():
            cells.append(f"{mean(values):.3f}" if values else "-")
        rows.append([*cells, f"{organ_mean(own):.3f}"])
    return markdown.table(header, rows)


def of_cases(values: Mapping[str, float], cases: Sequence[str]) -> dict[str, float]:
    """Values of these cases, where there are any."""
    return {case: values[case] for case in cases if case in values}


def training_lines(recipe: Recipe) -> list[str]:
    """What each network was trained with, and for how long."""
    settings, network = recipe.plans.settings, recipe.plans.configuration
    steps = settings.num_epochs * (settings.iterations_per_epoch or 0)
    genotype = " ".join(network["architecture"]["arch_kwargs"]["genotype"])
    patch = " x ".join(str(size) for size in network["patch_size"])
    lines = [
        f"One network of all organs a fold: genotype {genotype}, patch {patch}, batch {settings.batch_size}.",
        f"Each trains {steps} steps. The grid is {recipe.plans.grid_and_units}.",
    ]
    for fold, seconds in recipe.seconds.items():
        lines.append(f"Fold {fold} took {seconds / 60:.0f} minutes, {seconds / max(steps, 1):.2f} s a step.")
    return lines


def page(recipe: Recipe, facts: Mapping[str, str]) -> str:
    """The whole results page."""
    dice = dice_of(recipe.evaluation)
    means = [f"{organ} {mean(values):.3f}" for organ, values in dice.items()]
    answer = f"{', '.join(means)}, mean {organ_mean(dice):.3f}"
    cases = sum(len(fold) for fold in recipe.folds)
    lines = [
        "# How well does openkbp7 contour patients that it did not train on?",
        "",
        f"**Answer.** Mean DSC over the drawn organs of {cases} OpenKBP patients, each by the network of its own fold:",
        f"{answer}.",
        "",
        *[f"- {name}: {value}" for name, value in facts.items()],
        "",
        "OpenKBP's published training and validation patients, split in folds by patient. Contours that nobody drew",
        "are left open in training and are not scored. Labels are as predicted, without post-processing.",
        "",
        *organ_table(recipe.evaluation),
        "",
        "Fold by fold, mean DSC:",
        "",
        *fold_table(dice, recipe.folds),
        "",
        "## Training",
        "",
        *training_lines(recipe),
        "",
        "```bash",
        "scripts/reproduce_openkbp.sh PATH/TO/open-kbp",
        "```",
    ]
    return "\n".join(lines) + "\n"


def head(machine: str) -> dict[str, str]:
    """Date, commit, machine and command, as results pages begin."""
    return {"Date": time.strftime("%Y-%m-%d"), "Commit": commit(), "Machine": machine, "Command": "below"}


def commit() -> str:
    """Short hash of the checkout's commit; "unknown" where this is no checkout, as in a downloaded archive."""
    command = ["git", "rev-parse", "--short=7", "HEAD"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"`{found.stdout.strip()}`"


def main() -> None:
    """Parse, read, write the page and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, metavar="FOLDER", help="REPRODUCTION_OUTPUT of reproduce_openkbp.sh")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file (default: printed only)")
    parser.add_argument("--machine", default=f"{os.cpu_count()} CPU cores", help="that trained (default: %(default)s)")
    options = parser.parse_args()
    text = page(Recipe.read(options.recipe), head(options.machine))
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
