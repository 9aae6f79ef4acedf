#!/usr/bin/env python
r"""Stock nnU-Net on one fold of a stratified dataset, for as long as another training took.

    python -m scripts.experiments.stock_fold -d 9 --fold 0 --minutes 40 -o OUT --ours CROSS_VALIDATION --device cpu

Takes the source dataset and the split of ``-d`` in the environment's nnU-Net folders, and works in nnU-Net folders of
its own in OUT. Stock nnU-Net has its own plan, augmentation, loss and optimiser, without left/right mirroring. It knows
no organ that is not annotated: what nobody drew is background to it, and scoring leaves that out. Time starts with the
first step; the learning rate falls by nnU-Net's polynomial of the time that has passed. ``--ours`` compares with what
soars-cross-validate scored, on the same cases. Finished steps are kept.
"""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.experiments.compare_stock import STOCK_TRAINER, run, scores, train_folds
from scripts.experiments.paired import Dice, paired_table
from scripts.experiments.raw_datasets import cases_of, file_entries, use_folders, write_reference_dataset
from soars_nnunet.cascade.environment import preprocessed_folder, raw_folder, results_folder
from soars_nnunet.cascade.plans_file import CONFIGURATION
from soars_nnunet.cascade.record import CHECKPOINT, DEFAULT_PLANS, Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.evaluation.evaluation_file import read_evaluation
from soars_nnunet.profile import Profile


@dataclass(frozen=True)
class Source:
    """What is trained and scored.

    Attributes:
        dataset: Raw dataset folder.
        name: Of the dataset.
        number: Its id.
        profile: The organs.
        splits: Cases by fold, as nnU-Net's splits_final.json.
    """

    dataset: Path
    name: str
    number: int
    profile: Profile
    splits: list[dict[str, list[str]]]

    @classmethod
    def find(cls, dataset: str) -> "Source":
        """Of a stratified dataset in the environment's nnU-Net folders."""
        cascade = Cascade.load(dataset)
        raw = raw_folder() / cascade.source
        return cls(raw, cascade.source, int(cascade.source[7:10]), cascade.profile, cascade.splits())


def prepare(source: Source, options: argparse.Namespace) -> None:
    """Raw dataset that refers to the source's files, stock plans and preprocessing, and the split; unless done."""
    entries = file_entries(source.dataset, cases_of(source.dataset))
    write_reference_dataset(raw_folder() / source.name, source.dataset, entries)
    folder = preprocessed_folder() / source.name
    split = folder / "splits_final.json"
    if split.is_file():
        return
    command = ["nnUNetv2_plan_and_preprocess", "-d", str(source.number), "-c", CONFIGURATION, "-np", str(options.jobs)]
    run(options, command)
    write_json(split, source.splits)


def train(source: Source, options: argparse.Namespace) -> int:
    """Train the fold, unless that is done; returns its steps."""
    record = options.output / f"steps_{options.fold}_{options.minutes:g}.json"
    model = results_folder() / source.name / f"{STOCK_TRAINER}__{DEFAULT_PLANS}__{CONFIGURATION}"
    if not record.is_file() or not (model / f"fold_{options.fold}" / CHECKPOINT).is_file():
        (steps,) = train_folds(options, source.name, STOCK_TRAINER, 60 * options.minutes, [options.fold])
        write_json(record, steps)
    return read_json(record)


def predict(source: Source, options: argparse.Namespace, cases: Sequence[str]) -> tuple[Path, Path]:
    """Segment cases of the fold; returns the folder of predictions and that of references."""
    entries = file_entries(source.dataset, cases)
    # a fold and number of cases each has folders of its own: whatever lies in them is scored
    own = options.output / f"fold_{options.fold}_{len(cases)}_cases"
    ct, reference = own / "imagesTs", own / "reference" / "labelsTs"
    for folder in (ct, reference):
        folder.mkdir(parents=True, exist_ok=True)
    for entry in entries.values():
        (image,), label = entry["images"], entry["label"]
        link(Path(image), ct)
        link(Path(label), reference)
    link(source.dataset / "dataset.json", reference.parent)
    predicted = own / f"predicted_{options.minutes:g}"
    command = ["nnUNetv2_predict", "-d", str(source.number), "-i", str(ct), "-o", str(predicted), "-c", CONFIGURATION]
    command += ["-f", str(options.fold), "-tr", STOCK_TRAINER, "--disable_tta", "-device", options.device]
    run(options, [*command, "--continue_prediction", "-npp", "1", "-nps", "1"])
    return predicted, reference


def link(path: Path, folder: Path) -> None:
    """Link a file into a folder, unless that is done."""
    target = folder / path.name
    if not target.is_symlink():
        target.symlink_to(path.resolve())


def our_dice(path: Path, cases: Sequence[str]) -> dict[str, dict[str, float]]:
    """DSC by organ and label file of what soars-cross-validate scored, of these cases."""
    found: dict[str, dict[str, float]] = {}
    for score in read_evaluation(path).scores:
        if score.dsc is not None and score.case in cases:
            found.setdefault(score.organ, {})[f"{score.case}.nii.gz"] = score.dsc
    return found


def report(stock: Dice, ours: Dice | None, steps: int, minutes: float) -> str:
    """Markdown: the DSC of stock nnU-Net, and of ours beside it where it is given."""
    arms: dict[str, Dice] = {"stock nnU-Net": {organ: cases for organ, cases in stock.items() if cases}}
    if ours is not None:
        arms["ours"] = ours
    return f"Stock nnU-Net: {steps} steps in {minutes:g} minutes.\n\n{paired_table(arms)}"


def main() -> None:
    """Parse, train, predict, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-d", "--dataset", required=True)
    parser.add_argument("-o", "--output", required=True, type=Path, help="logs, results, nnU-Net folders")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--minutes", type=float, required=True, help="of training")
    parser.add_argument("--ours", type=Path, metavar="FOLDER", help="cross-validation to compare with")
    parser.add_argument("--cases", type=int, help="only the fold's first so many, for a try")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, default=2, help="processes that preprocess (default: %(default)s)")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    source = Source.find(options.dataset)
    if not 0 <= options.fold < len(source.splits):
        parser.error(f"--fold: expected 0 to {len(source.splits) - 1}, got {options.fold}")
    use_folders(options.output)
    os.environ.pop("nnUNet_extTrainer", None)  # stock trainers alone
    if os.environ.get("nnUNet_n_proc_DA") == "0":
        os.environ["nnUNet_n_proc_DA"] = "1"  # stock planning takes it for its number of threads
    prepare(source, options)
    steps = train(source, options)
    cases = source.splits[options.fold]["val"][: options.cases]
    predicted, reference = predict(source, options, cases)
    ours = None if options.ours is None else our_dice(options.ours, cases)
    text = report(scores(predicted, reference, source.profile), ours, steps, options.minutes)
    (options.output / "stock.md").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
