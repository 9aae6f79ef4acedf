#!/usr/bin/env python
"""Search a branch's genotype with several seeds, retrain found, published, random and all-3D3 ones, compare.

    python -m scripts.experiments.compare_genotypes -d 42 --branch anchor --fold 0 -o OUT \
        -- --regime demo --spacing 3 3 3

Works on a stratified dataset whose branch can be planned, in the environment's nnU-Net folders; what follows
``--`` goes to soars-plan. Everything runs by plain commands; finished steps are kept.
All genotypes train on the fold's training cases with the same plans. They are compared on the fold's
validation cases, which neither weights nor architecture have seen, by nnU-Net's own validation of whole volumes.
"""

import argparse
import json
import statistics
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np

from scripts.experiments.runner import Runner, add_options, parse
from soars_nnunet.cascade.branches import BRANCHES
from soars_nnunet.cascade.record import GENOTYPE
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.networks.genotype import KINDS, NUM_BLOCKS, near_ties, published_genotype


class Comparison(Runner):
    """Searches and retrains one branch and fold of a cascade."""

    def search(self, seed: int) -> dict:
        """Genotype entry of a search."""
        trainer = BRANCHES[self.options.branch].trainer.replace("Trainer", "SearchTrainer")
        path = self._train(f"Search{seed}", trainer, GENOTYPE, [f"search_seed={seed}"])
        return read_json(path)[self.options.branch]

    def retrain(self, kinds: list[str], seed: int) -> list[float]:
        """Mean Dice of each validation case after training a genotype from scratch."""
        plans = f"Genotype{''.join(str(KINDS.index(kind)) for kind in kinds)}Seed{seed}"
        path = self.output / f"{plans}.json"
        write_json(path, {self.options.branch: {"kinds": kinds}})
        settings = [f"seed={seed}", "final_validation=true"]
        trainer = BRANCHES[self.options.branch].trainer
        summary = self._train(plans, trainer, "validation/summary.json", settings, "--genotype", str(path))
        cases = read_json(summary)["metric_per_case"]
        return [float(np.nanmean([organ["Dice"] for organ in case["metrics"].values()])) for case in cases]

    def _train(self, plans: str, trainer: str, finished: str, settings: list[str], *plan_options: str) -> Path:
        """Plan and train; returns the finished file."""
        branch, fold = self.options.branch, self.options.fold
        if not (self.folder(branch, plans, fold, trainer) / finished).is_file():
            self.plan(plans, [branch], settings, *plan_options)
        return self.train(branch, plans, fold, trainer, finished) / finished


def candidates(found: list[list[str]], branch: str, num_random: int) -> dict[str, list[str]]:
    """Genotypes to compare, by name."""
    generator = np.random.default_rng(0)
    table = {f"found, seed {seed}": kinds for seed, kinds in enumerate(found)}
    table["published"] = published_genotype(branch)
    for index in range(num_random):
        table[f"random {index + 1}"] = [KINDS[k] for k in generator.integers(len(KINDS), size=NUM_BLOCKS)]
    table["all 3D3"] = ["3D3"] * NUM_BLOCKS
    return table


def report(entries: list[dict], scores: dict[str, tuple[list[str], np.ndarray]]) -> str:
    """Markdown: what the searches found, then Dice (training seeds, cases) by genotype and by group."""
    lines = ["| search | genotype | margins | near-ties (of 4 blocks) |", "|---|---|---|---|"]
    for seed, entry in enumerate(entries):
        margins = " ".join(f"{margin:.3f}" for margin in entry["margins"])
        lines.append(f"| seed {seed} | {' '.join(entry['kinds'])} | {margins} | {len(near_ties(entry))} |")
    lines += ["", "| genotype | kinds | mean Dice | by training seed | SD over cases |", "|---|---|---|---|---|"]
    for name, (kinds, dice) in scores.items():
        seeds = " ".join(f"{mean:.3f}" for mean in dice.mean(1))
        spread = dice.mean(0).std(ddof=1)
        lines.append(f"| {name} | {' '.join(kinds)} | {dice.mean():.3f} | {seeds} | {spread:.3f} |")
    for group in ("found", "random"):
        # searches that agree are one model
        models = {tuple(kinds): dice.mean() for name, (kinds, dice) in scores.items() if name.startswith(group)}
        means = list(models.values())
        spread = statistics.stdev(means) if len(means) > 1 else 0.0
        lines.append(f"| {group}, all | | {statistics.mean(means):.3f} | {spread:.3f} over {len(means)} genotypes | |")
    return "\n".join(lines)


def main() -> None:
    """Parse, search, retrain, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--branch", default="anchor", choices=("anchor", "mid_level"))
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3, help="searches")
    parser.add_argument("--random", type=int, default=3, help="random genotypes")
    parser.add_argument("--training-seeds", type=int, default=1, help="trainings of each genotype")
    options = parse(parser)
    comparison = Comparison(options)
    dice: dict[tuple[str, ...], dict[int, list[float]]] = {}

    def retrain(kinds: tuple[str, ...], seed: int) -> None:
        dice.setdefault(kinds, {})[seed] = comparison.retrain(list(kinds), seed)

    def trainings(genotypes: Iterable[list[str]]) -> list[Callable[[], None]]:
        # searches that agree, or a random genotype that is another's, are trained once
        new = [kinds for kinds in dict.fromkeys(map(tuple, genotypes)) if kinds not in dice]
        return [partial(retrain, kinds, seed) for kinds in new for seed in range(options.training_seeds)]

    searches = [partial(comparison.search, seed) for seed in range(options.seeds)]
    others = candidates([], options.branch, options.random).values()
    entries = comparison.map(lambda step: step(), [*searches, *trainings(others)])[: options.seeds]
    table = candidates([entry["kinds"] for entry in entries], options.branch, options.random)
    comparison.map(lambda step: step(), trainings(table.values()))
    scores = {
        name: (kinds, np.array([dice[tuple(kinds)][seed] for seed in range(options.training_seeds)]))
        for name, kinds in table.items()
    }
    text = report(entries, scores)
    (options.output / "genotypes.md").write_text(text + "\n", encoding="utf-8")
    print(json.dumps(table, indent=1), f"minutes: {comparison.minutes()}", text, sep="\n\n")


if __name__ == "__main__":
    main()
