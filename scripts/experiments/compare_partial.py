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
import os
import sys
from pathlib import Path

from scripts.experiments.paired import mean_of, paired_table, validation_dice
from scripts.experiments.runner import Runner, add_options, parse
from soars_nnunet.cascade.record import DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.profile import load_profile
from soars_nnunet.stratification.splits import split_patients
from soars_nnunet.stratification.stratify import stratify

ARMS = {"left out": 101, "added, masked": 102, "added, unmasked": 103}
"""Source dataset of each arm."""


def cases_of(dataset: Path) -> list[str]:
    """Cases of a raw dataset."""
    ending = read_json(dataset / "dataset.json")["file_ending"]
    return sorted(path.name.removesuffix(ending) for path in (dataset / "labelsTr").glob(f"*{ending}"))


def write_source(complete: Path, partial: Path | None, name: str) -> None:
    """Raw dataset that refers to the files of others."""
    facts = read_json(complete / "dataset.json")
    ending = facts["file_ending"]
    listed = {
        case: {
            "images": [str(folder.resolve() / "imagesTr" / f"{case}_0000{ending}")],
            "label": str(folder.resolve() / "labelsTr" / f"{case}{ending}"),
        }
        for folder in filter(None, (complete, partial))
        for case in cases_of(folder)
    }
    folder = Path(os.environ["nnUNet_raw"]) / name
    write_json(folder / "dataset.json", {**facts, "numTraining": len(listed), "dataset": listed})


def prepare(arm: str, options: argparse.Namespace) -> None:
    """Stratify an arm's dataset; only complete cases are validated."""
    number = ARMS[arm]
    name = f"Dataset{number}_{arm.title().replace(', ', '').replace(' ', '')}"
    partial = None if arm == "left out" else options.partial
    write_source(options.complete, partial, name)
    listed = options.partial / "cases.json" if arm == "added, masked" else None
    profile = load_profile(options.profile)
    ids = [500 + 10 * (number - 100) + index for index in range(5)]
    stratify(number, profile, ids, options.folds, None, print, listed, arm == "added, unmasked", baseline=True)
    more = cases_of(partial) if partial else []
    splits = split_patients(cases_of(options.complete), options.folds)
    splits = [{"train": sorted([*split["train"], *more]), "val": split["val"]} for split in splits]
    write_json(Cascade.load(number).preprocessed("baseline") / "splits_final.json", splits)


def score(arm: str, options: argparse.Namespace) -> list[dict[str, dict[str, float]]]:
    """DSC by seed, organ and case: every complete case by the network that did not train on it."""
    number = ARMS[arm]
    prepared = options.output / f"prepared_{number}.json"
    made_from = {name: str(getattr(options, name)) for name in ("complete", "partial", "profile", "folds")}
    if not prepared.is_file():
        prepare(arm, options)
        write_json(prepared, made_from)
    elif read_json(prepared) != made_from:
        sys.exit(f"error: {options.output} holds datasets made from others ({prepared}); choose another folder")
    output = options.output / arm.replace(", ", "_").replace(" ", "_")
    kept = {name: getattr(options, name) for name in ("device", "jobs", "set", "plan")}
    runner = Runner(argparse.Namespace(dataset=number, output=output, **kept))
    labels = read_json(runner.cascade.raw("baseline") / "dataset.json")["labels"]
    plans = [f"Seed{seed}" if seed else DEFAULT_PLANS for seed in range(options.seeds)]
    for seed, name in enumerate(plans):
        runner.plan(name, ["baseline"], ["final_validation=true", f"seed={seed}"])
    trainings = [(name, fold) for name in plans for fold in range(options.folds)]
    finished = "validation/summary.json"
    folders = runner.map(lambda training: runner.train("baseline", *training, finished=finished), trainings)
    return [
        validation_dice(folders[start : start + options.folds], labels)
        for start in range(0, len(folders), options.folds)
    ]


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
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ[name] = str((options.output / name).resolve())
    dice = {arm: score(arm, options) for arm in ARMS}
    parts = [paired_table({arm: mean_of(trainings) for arm, trainings in dice.items()})]
    if options.seeds > 1:
        for seed in range(options.seeds):
            parts += [f"Seed {seed} alone:", paired_table({arm: trainings[seed] for arm, trainings in dice.items()})]
    text = "\n\n".join(parts)
    (options.output / "partial.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
