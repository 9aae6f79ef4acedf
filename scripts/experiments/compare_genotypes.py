#!/usr/bin/env python
r"""Search a branch's genotype with several seeds, retrain found, published, random and all-3D3 ones, compare.

    python -m scripts.experiments.compare_genotypes -d 42 --branch anchor --fold 0 -o OUT \
        -- --regime demo --spacing 3 3 3

Works on a stratified dataset whose branch can be planned, in the environment's nnU-Net folders; what follows
``--`` goes to soars-plan. Everything runs by plain commands; finished steps are kept.
All genotypes train on the fold's training cases with the same plans. They are compared on the fold's
validation cases, which neither weights nor architecture have seen, by nnU-Net's own validation of whole volumes.
"""

import argparse
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts import markdown
from scripts.experiments.runner import ALL_3D3, Runner, add_options, parse
from soars_nnunet.branches import BRANCHES
from soars_nnunet.cascade.record import GENOTYPE
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.networks.genotype import KINDS, NUM_BLOCKS, near_ties, published_genotype

FOUND, RANDOM = "found", "random"
"""What the names of genotypes of a group begin with."""

Genotype = tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """One search or one training.

    Attributes:
        seed: Of the search or the training.
        genotype: What is trained; None for a search.
    """

    seed: int
    genotype: Genotype | None = None


class Comparison(Runner):
    """Searches and retrains one branch and fold of a cascade."""

    def everything(self) -> str:
        """All searches and trainings; returns the report."""
        searches = [Step(seed) for seed in range(self.options.seeds)]
        known = candidates([], self.options.branch, self.options.random)
        done = dict(self.map(self.take, searches + self.trainings(known.values())))
        entries = [done[step] for step in searches]
        table = candidates([entry["kinds"] for entry in entries], self.options.branch, self.options.random)
        # searches that agree, or a random genotype that is another's, are trained once
        left = [step for step in self.trainings(table.values()) if step not in done]
        done |= dict(self.map(self.take, left))
        scores = {}
        for name, kinds in table.items():
            seeds = [done[step] for step in self.trainings([kinds])]
            scores[name] = np.array(seeds)
        return report(entries, table, scores)

    def trainings(self, genotypes: Iterable[Sequence[str]]) -> list[Step]:
        """Trainings of genotypes with every seed, each genotype once."""
        steps = []
        for kinds in dict.fromkeys(tuple(kinds) for kinds in genotypes):
            for seed in range(self.options.training_seeds):
                steps.append(Step(seed, kinds))
        return steps

    def take(self, step: Step) -> tuple[Step, Any]:
        """Search or train; returns the step with a genotype's entry, or with the Dice of each validation case."""
        if step.genotype is None:
            return step, self.search(step.seed)
        return step, self.retrain(step.genotype, step.seed)

    def search(self, seed: int) -> dict:
        """Genotype entry of a search."""
        trainer = BRANCHES[self.options.branch].trainer.replace("Trainer", "SearchTrainer")
        path = self._train(f"Search{seed}", trainer, GENOTYPE, [f"search_seed={seed}"])
        return read_json(path)[self.options.branch]

    def retrain(self, kinds: Genotype, seed: int) -> list[float]:
        """Mean Dice of each validation case after training a genotype from scratch."""
        digits = [str(KINDS.index(kind)) for kind in kinds]
        plans = f"Genotype{''.join(digits)}Seed{seed}"
        path = self.output / f"{plans}.json"
        write_json(path, {self.options.branch: {"kinds": kinds}})
        settings = [f"seed={seed}", "final_validation=true"]
        trainer = BRANCHES[self.options.branch].trainer
        summary = self._train(plans, trainer, "validation/summary.json", settings, ["--genotype", str(path)])
        means = []
        for case in read_json(summary)["metric_per_case"]:
            dice = [organ["Dice"] for organ in case["metrics"].values()]
            means.append(float(np.nanmean(dice)))
        return means

    def _train(
        self,
        plans: str,
        trainer: str,
        finished: str,
        settings: Sequence[str],
        plan_options: Sequence[str] = (),
    ) -> Path:
        """Plan and train; returns the finished file."""
        branch, fold = self.options.branch, self.options.fold
        if not (self.folder(branch, plans, fold, trainer) / finished).is_file():
            self.plan(plans, [branch], settings, plan_options)
        return self.train(branch, plans, fold, trainer=trainer, finished=finished) / finished


def candidates(found: Sequence[Sequence[str]], branch: str, num_random: int) -> dict[str, list[str]]:
    """Genotypes to compare, by name."""
    generator = np.random.default_rng(0)
    table = {f"{FOUND}, seed {seed}": list(kinds) for seed, kinds in enumerate(found)}
    table["published"] = list(published_genotype(branch))
    for index in range(num_random):
        drawn = generator.integers(len(KINDS), size=NUM_BLOCKS)
        table[f"{RANDOM} {index + 1}"] = [KINDS[number] for number in drawn]
    table["all 3D3"] = list(ALL_3D3)
    return table


def report(entries: Sequence[dict], table: Mapping[str, list[str]], scores: Mapping[str, np.ndarray]) -> str:
    """Markdown: what the searches found, then Dice by genotype and by group.

    Args:
        entries: Genotype entry of each search.
        table: Kinds of each genotype, by name.
        scores: Dice (training seeds, cases) of each genotype, by name.
    """
    lines = markdown.heading(["search", "genotype", "margins", "near-ties (of 4 blocks)"])
    for seed, entry in enumerate(entries):
        margins = " ".join(f"{margin:.3f}" for margin in entry["margins"])
        lines.append(markdown.row([f"seed {seed}", " ".join(entry["kinds"]), margins, str(len(near_ties(entry)))]))
    lines.append("")
    lines += markdown.heading(["genotype", "kinds", "mean Dice", "by training seed", "SD over cases"])
    for name, kinds in table.items():
        dice = scores[name]
        seeds = " ".join(f"{mean:.3f}" for mean in dice.mean(1))
        spread = dice.mean(0).std(ddof=1)
        lines.append(markdown.row([name, " ".join(kinds), f"{dice.mean():.3f}", seeds, f"{spread:.3f}"]))
    for group in (FOUND, RANDOM):
        lines.append(markdown.row(group_cells(group, table, scores)))
    return "\n".join(lines)


def group_cells(group: str, table: Mapping[str, list[str]], scores: Mapping[str, np.ndarray]) -> list[str]:
    """Mean and SD of a group's genotypes; searches that agree are one of them."""
    models = {}
    for name, kinds in table.items():
        if name.startswith(group):
            models[tuple(kinds)] = float(scores[name].mean())
    means = list(models.values())
    spread = statistics.stdev(means) if len(means) > 1 else 0.0
    return [f"{group}, all", "", f"{statistics.mean(means):.3f}", f"{spread:.3f} over {len(means)} genotypes", ""]


def main() -> None:
    """Parse, search, retrain, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--branch", default="anchor", choices=("anchor", "mid_level"))
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3, help="searches")
    parser.add_argument("--random", type=int, default=3, help="random genotypes")
    parser.add_argument("--training-seeds", type=int, default=1, help="trainings of each genotype")
    comparison = Comparison(parse(parser))
    comparison.report("genotypes.md", comparison.everything())


if __name__ == "__main__":
    main()
