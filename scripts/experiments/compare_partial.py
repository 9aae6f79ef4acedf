#!/usr/bin/env python
"""Whether partially contoured cases help: leave them out, add them masked, add them as if complete.

    python -m scripts.experiments.compare_partial COMPLETE PARTIAL -p openkbp7 -o OUT -- --regime demo --spacing 4 5 5

COMPLETE and PARTIAL are raw nnU-Net datasets with the same labels; PARTIAL/cases.json lists, by case, organs that are
there but that nobody drew. The complete cases are split in folds; one P-HNN of all organs (SOARSBaselineTrainer)
trains on a fold's complete training cases alone or with all partial cases, and is scored on the complete validation
cases by nnU-Net's own validation. Seeds are equal, and so are steps under a regime that fixes them, as demo does; with
``--set iterations_per_epoch=null patches_per_volume=N`` passes over the cases are, so that more cases bring more steps.
Patch and spacing follow each arm's data, unless given. What follows ``--`` goes to soars-plan. Works in nnU-Net
folders of its own in OUT; finished steps are kept.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.experiments.paired import Dice, mean_of, paired_table, validation_dice
from scripts.experiments.raw_datasets import cases_of, file_entries, use_folders, write_reference_dataset
from scripts.experiments.runner import Runner, add_options, parse
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.splits import split_patients
from soars_nnunet.stratification.stratify import StratifyOptions, stratify

ARMS = {"left out": 101, "added, masked": 102, "added, unmasked": 103}
"""Source dataset of each arm."""
FINISHED = "validation/summary.json"


def prepare(arm: str, options: argparse.Namespace) -> None:
    """Stratify an arm's dataset; only complete cases are validated."""
    number = ARMS[arm]
    name = f"Dataset{number}_{arm.title().replace(', ', '').replace(' ', '')}"
    complete = cases_of(options.complete)
    entries = file_entries(options.complete, complete)
    more = [] if arm == "left out" else cases_of(options.partial)
    if more:
        entries |= file_entries(options.partial, more)
    write_reference_dataset(raw_folder() / name, options.complete, entries)
    choices = StratifyOptions(
        num_folds=options.folds,
        not_annotated=options.partial / "cases.json" if arm == "added, masked" else None,
        empty_means_absent=arm == "added, unmasked",
        baseline=True,
    )
    stratify(number, load_profile(options.profile), choices, progress=print).require_all()
    splits = []
    for split in split_patients(complete, options.folds):
        splits.append({"train": sorted(split["train"] + more), "val": split["val"]})
    write_json(Cascade.load(number).preprocessed("baseline") / "splits_final.json", splits)


def require_prepared(arm: str, options: argparse.Namespace) -> None:
    """Prepare an arm's dataset, unless that is done; exit if it was made from others."""
    record = options.output / f"prepared_{ARMS[arm]}.json"
    made_from = {name: str(getattr(options, name)) for name in ("complete", "partial", "profile", "folds")}
    if not record.is_file():
        prepare(arm, options)
        write_json(record, made_from)
    elif read_json(record) != made_from:
        sys.exit(f"error: {options.output} holds datasets made from others ({record}); choose another folder")


def score(arm: str, options: argparse.Namespace) -> list[Dice]:
    """DSC by seed, organ and case: every complete case by the network that did not train on it."""
    require_prepared(arm, options)
    output = options.output / arm.replace(", ", "_").replace(" ", "_")
    kept = {name: getattr(options, name) for name in ("device", "jobs", "set", "plan")}
    runner = Runner(argparse.Namespace(dataset=ARMS[arm], output=output, **kept))
    labels = read_json(runner.cascade.raw("baseline") / "dataset.json")["labels"]
    plans = []
    for seed in range(options.seeds):
        name = f"Seed{seed}" if seed else DEFAULT_PLANS
        runner.plan(name, ["baseline"], ["final_validation=true", f"seed={seed}"])
        plans.append(name)
    trainings = [(name, fold) for name in plans for fold in range(options.folds)]
    runner.map(lambda training: runner.train("baseline", training[0], training[1], finished=FINISHED), trainings)
    by_seed: list[Dice] = []
    for name in plans:
        folders = [runner.folder("baseline", name, fold) for fold in range(options.folds)]
        by_seed.append(validation_dice(folders, labels))
    return by_seed


def tables(dice: Mapping[str, Sequence[Dice]]) -> str:
    """Markdown: the mean over seeds, then each seed alone.

    Args:
        dice: By arm, DSC of each seed.
    """
    parts = [paired_table({arm: mean_of(trainings) for arm, trainings in dice.items()})]
    seeds = len(next(iter(dice.values())))
    if seeds > 1:
        for seed in range(seeds):
            parts.append(f"Seed {seed} alone:")
            parts.append(paired_table({arm: trainings[seed] for arm, trainings in dice.items()}))
    return "\n\n".join(parts)


def main() -> None:
    """Parse, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("complete", type=Path, help="raw nnU-Net dataset")
    parser.add_argument("partial", type=Path, help="raw nnU-Net dataset with cases.json")
    parser.add_argument("-p", "--profile", required=True)
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1, help="trainings of each arm and fold")
    add_options(parser, dataset=False)
    options = parse(parser)
    use_folders(options.output)
    text = tables({arm: score(arm, options) for arm in ARMS})
    (options.output / "partial.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
