#!/usr/bin/env python
"""Search a branch's genotype with several seeds, retrain found, published, random and all-3D3 ones, compare.

    python scripts/compare_genotypes.py -d 42 --branch anchor --fold 0 -o OUT -- --regime demo --spacing 3 3 3

Works on a stratified dataset whose branch can be planned, in the environment's nnU-Net folders; what follows
``--`` goes to soars-plan. Everything runs by plain commands, one after the other; finished steps are kept.
All genotypes train on the fold's training cases with the same plans. They are compared on the fold's
validation cases, which neither weights nor architecture have seen, by nnU-Net's own validation of whole volumes.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from soars_nnunet.artifacts import BRANCHES, CONFIGURATION, GENOTYPE, Cascade, read_json, write_json
from soars_nnunet.cli import trainer_folder
from soars_nnunet.networks.genotype import KINDS, NUM_BLOCKS, near_ties, published_genotype


class Comparison:
    """Runs the commands for one branch and fold of a cascade."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.cascade = Cascade.load(options.dataset)
        self.output: Path = options.output
        self.output.mkdir(parents=True, exist_ok=True)
        os.environ["nnUNet_extTrainer"] = trainer_folder()
        record, ours = self.output / "options.json", {**vars(options), "output": str(options.output)}
        if record.is_file() and read_json(record) != ours:
            sys.exit(f"error: {self.output} holds results of other options ({record}); choose another folder")
        write_json(record, ours)
        self.seconds: dict[str, float] = {}

    def run(self, log: str, *command: str) -> float:
        """Run a command with its output in a log file; returns its seconds, raises where it fails."""
        print(f"[{time.strftime('%H:%M:%S')}] {' '.join(command)}", flush=True)
        started = time.monotonic()
        path = self.output / f"{log}.log"
        with open(path, "w", encoding="utf-8") as file:
            if subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False).returncode:
                sys.exit(f"error: {command[0]} failed, see {path}")
        return time.monotonic() - started

    def train(self, plans: str, trainer: str, finished: str, *plan_options: str) -> Path:
        """Plan a variant and train the fold; returns the fold's folder."""
        options, branch = self.options, self.options.branch
        model = self.cascade.model(branch, plans)
        folder = model.with_name(model.name.replace(BRANCHES[branch].trainer, trainer)) / f"fold_{options.fold}"
        if not (folder / finished).is_file():
            plan = ["soars-plan", "-d", str(options.dataset), "--branches", branch, "--plans-name", plans]
            settings = ["--set", "final_validation=true", *options.set]
            self.run(f"plan_{plans}", *plan, *options.plan, *settings, *plan_options)
            dataset = self.cascade.datasets[branch]
            train = ["nnUNetv2_train", dataset, CONFIGURATION, str(options.fold), "-tr", trainer, "-p", plans, "--c"]
            seconds = self.run(f"train_{plans}", *train, "-device", options.device)
            write_json(self.output / f"{plans}.seconds.json", seconds)
        self.seconds[plans] = read_json(self.output / f"{plans}.seconds.json")
        return folder

    def search(self, seed: int) -> dict:
        """Genotype entry of a search."""
        plans, trainer = f"Search{seed}", BRANCHES[self.options.branch].trainer.replace("Trainer", "SearchTrainer")
        folder = self.train(plans, trainer, GENOTYPE, f"search_seed={seed}")
        return read_json(folder / GENOTYPE)[self.options.branch]

    def retrain(self, kinds: list[str]) -> list[float]:
        """Mean Dice of each validation case after training a genotype from scratch."""
        plans = "Genotype" + "".join(str(KINDS.index(kind)) for kind in kinds)
        path = self.output / f"{plans}.json"
        write_json(path, {self.options.branch: {"kinds": kinds}})
        trainer = BRANCHES[self.options.branch].trainer
        folder = self.train(plans, trainer, "validation/summary.json", "--genotype", str(path))
        cases = read_json(folder / "validation" / "summary.json")["metric_per_case"]
        return [float(np.nanmean([organ["Dice"] for organ in case["metrics"].values()])) for case in cases]


def candidates(found: list[list[str]], branch: str, num_random: int) -> dict[str, list[str]]:
    """Genotypes to compare, by name; equal ones are trained once all the same."""
    generator = np.random.default_rng(0)
    table = {f"found, seed {seed}": kinds for seed, kinds in enumerate(found)}
    table["published"] = published_genotype(branch)
    for index in range(num_random):
        table[f"random {index + 1}"] = [KINDS[k] for k in generator.integers(len(KINDS), size=NUM_BLOCKS)]
    table["all 3D3"] = ["3D3"] * NUM_BLOCKS
    return table


def report(entries: list[dict], scores: dict[str, tuple[list[str], list[float]]]) -> str:
    """Markdown: what the searches found, then Dice by genotype and by group."""
    lines = ["| search | genotype | margins | near-ties (of 4 blocks) |", "|---|---|---|---|"]
    for seed, entry in enumerate(entries):
        margins = " ".join(f"{margin:.3f}" for margin in entry["margins"])
        lines.append(f"| seed {seed} | {' '.join(entry['kinds'])} | {margins} | {len(near_ties(entry))} |")
    lines += ["", "| genotype | kinds | mean Dice | SD over cases |", "|---|---|---|---|"]
    for name, (kinds, dice) in scores.items():
        lines.append(f"| {name} | {' '.join(kinds)} | {statistics.mean(dice):.3f} | {statistics.stdev(dice):.3f} |")
    for group in ("found", "random"):
        # searches that agree are one model; one training seed, so training noise is within this spread
        models = {tuple(kinds): dice for name, (kinds, dice) in scores.items() if name.startswith(group)}
        means = [statistics.mean(dice) for dice in models.values()]
        spread = statistics.stdev(means) if len(means) > 1 else 0.0
        lines.append(f"| {group}, all | | {statistics.mean(means):.3f} | {spread:.3f} over {len(means)} genotypes |")
    return "\n".join(lines)


def main() -> None:
    """Parse, search, retrain, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-d", "--dataset", required=True, type=int)
    parser.add_argument("-o", "--output", required=True, type=Path, help="logs, genotypes, table")
    parser.add_argument("--branch", default="anchor", choices=("anchor", "mid_level", "small_hard"))
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3, help="searches")
    parser.add_argument("--random", type=int, default=3, help="random genotypes")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="regime values")
    arguments = sys.argv[1:]
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    options = parser.parse_args(arguments[:cut])
    options.plan = arguments[cut + 1 :]
    if "--set" in options.plan:
        parser.error("give --set before --, with what the comparison sets itself")
    comparison = Comparison(options)
    entries = [comparison.search(seed) for seed in range(options.seeds)]
    table = candidates([entry["kinds"] for entry in entries], options.branch, options.random)
    text = report(entries, {name: (kinds, comparison.retrain(kinds)) for name, kinds in table.items()})
    (options.output / "genotypes.md").write_text(text + "\n", encoding="utf-8")
    minutes = {plans: round(seconds / 60, 1) for plans, seconds in comparison.seconds.items()}
    print(json.dumps(table, indent=1), f"minutes: {minutes}", text, sep="\n\n")


if __name__ == "__main__":
    main()
