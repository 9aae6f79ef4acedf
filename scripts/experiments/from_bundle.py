#!/usr/bin/env python
r"""What a few patients gain from a bundle's weights: from the bundle against from scratch, at equal steps.

    python -m scripts.experiments.from_bundle DATASET openkbp7 -p openkbp7 --one-tier --fold 0 -o OUT \
        --epochs 1 2 4 8 --drop Larynx --add-bone --set step_size=[0.75,0.75,0.75] -- --regime demo

DATASET is the raw dataset that the bundle was trained on. The patients are those that the bundle's fold has not seen:
``--training`` of them, with as few organs lacking as there are, train; the others are held out and scored by nnU-Net's
own validation of whole volumes, organs that are annotated only. The profile can lack organs of the bundle (``--drop``)
and have one more (``--add-bone``: what has more than 300 HU and is no organ). Both arms have the bundle's grid,
architecture and patch, and the same seed; they differ in their first weights and, unless ``--rates`` gives others, in
the learning rate: the regime's for a start from a bundle, the regime's for new weights. ``--untouched`` adds what the
bundle's fold scored without any training. What follows ``--`` goes to soars-plan. Works in nnU-Net folders of its own
in OUT; finished steps are kept, and numbers of epochs can be added.
"""

import argparse
import json
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from scripts.experiments.paired import Dice, paired_table, validation_dice
from scripts.experiments.raw_datasets import cases_of, file_entries, use_folders, write_reference_dataset
from scripts.experiments.runner import Runner, add_options, parse
from scripts.experiments.stock_fold import our_dice
from soars_nnunet.bundles.bundle import Bundle
from soars_nnunet.bundles.open import open_bundle
from soars_nnunet.bundles.places import find_bundle
from soars_nnunet.cascade.case_names import name_hashes, patient_of
from soars_nnunet.cascade.environment import raw_folder
from soars_nnunet.cascade.not_annotated import read_not_annotated
from soars_nnunet.cascade.plans_file import PlansFile
from soars_nnunet.cascade.record import Cascade
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.profile import Organ, Profile, load_profile
from soars_nnunet.stratification.stratify import StratifyOptions, stratify

NUMBER = 121
"""Id of the dataset of the few patients."""
BRANCH = "anchor"
BONE = "Bone"
BONE_HU = 300
"""Above soft tissue with contrast medium, below most bone."""
FINISHED = "validation/summary.json"
SCRATCH, UNTOUCHED = "from scratch", "bundle, untouched"


@dataclass(frozen=True)
class Patients:
    """Cases by what they are for; both sorted."""

    training: list[str]
    held_out: list[str]


def choose_patients(options: argparse.Namespace, bundle: Bundle, profile: Profile) -> Patients:
    """Divide the cases that the bundle's fold has not seen; exits where they are too few."""
    manifest = bundle.manifest
    seen = manifest.trained_on(BRANCH, [options.fold])
    unseen = []
    for case in cases_of(options.bundles_dataset):
        patient = patient_of(case, manifest.patient_pattern) or case
        if name_hashes([patient])[0] not in seen:
            unseen.append(case)
    if len(unseen) <= options.training:
        sys.exit(f"error: expected more than {options.training} patients new to fold {options.fold}, got {len(unseen)}")
    lacking = read_not_annotated(options.bundles_dataset / "cases.json", profile, None)
    random.Random(options.seed).shuffle(unseen)
    unseen.sort(key=lambda case: len(lacking.get(case, ())))  # as shuffled where equally many are lacking
    rest = unseen[options.training :]
    random.Random(options.seed).shuffle(rest)
    return Patients(sorted(unseen[: options.training]), sorted(rest[: options.held_out]))


def own_profile(options: argparse.Namespace) -> Profile:
    """The profile without what is dropped, and with what is added."""
    profile = load_profile(options.profile)
    profile = profile.in_one_tier() if options.one_tier else profile
    organs = [organ for organ in profile.organs if organ.name not in options.drop]
    if options.add_bone:
        organs.append(Organ(name=BONE, label=0, paper_name=BONE, tier="anchor"))
    numbered = [replace(organ, label=label) for label, organ in enumerate(organs, 1)]
    return replace(profile, organs=tuple(numbered))


def add_bone(entry: dict[str, Any], folder: Path, label: int) -> dict[str, Any]:
    """Write a label map in which bone that is no organ is labelled; returns the entry with it."""
    ct, labels = sitk.ReadImage(entry["images"][0]), sitk.ReadImage(entry["label"])
    values = sitk.GetArrayFromImage(labels)
    bone = (sitk.GetArrayFromImage(ct) > BONE_HU) & (values == 0)
    painted = sitk.GetImageFromArray(np.where(bone, label, values).astype(values.dtype))
    painted.CopyInformation(labels)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / Path(entry["label"]).name
    sitk.WriteImage(painted, str(path), True)
    return {**entry, "label": str(path.resolve())}


def prepare(options: argparse.Namespace, patients: Patients, profile: Profile) -> None:
    """Raw dataset, branch datasets and the one-fold split."""
    folder = raw_folder() / f"Dataset{NUMBER}_Few"
    cases = patients.training + patients.held_out
    entries = file_entries(options.bundles_dataset, cases)
    labels = dict(read_json(options.bundles_dataset / "dataset.json")["labels"])
    if options.add_bone:
        labels[BONE] = 1 + max(labels.values())
        for case in cases:
            entries[case] = add_bone(entries[case], folder / "labelsTr", labels[BONE])
    write_reference_dataset(folder, options.bundles_dataset, entries)
    write_json(folder / "dataset.json", {**read_json(folder / "dataset.json"), "labels": labels})
    lacking = read_json(options.bundles_dataset / "cases.json")
    listed = options.output / "cases.json"
    write_json(listed, {case: lacking[case] for case in cases if case in lacking})
    stratify(NUMBER, profile, StratifyOptions(num_folds=2, not_annotated=listed), progress=print).require_all()
    split = [{"train": patients.training, "val": patients.held_out}]
    cascade = Cascade.load(NUMBER)
    for key in cascade.datasets:
        write_json(cascade.preprocessed(key) / "splits_final.json", split)


def require_prepared(options: argparse.Namespace, patients: Patients, profile: Profile) -> None:
    """Prepare the dataset, unless that is done; exit if it was made of others."""
    record = options.output / "prepared.json"
    made_of = {
        "training": patients.training,
        "held_out": patients.held_out,
        "organs": [organ.name for organ in profile.organs],
    }
    if not record.is_file():
        prepare(options, patients, profile)
        write_json(record, made_of)
    elif read_json(record) != made_of:
        sys.exit(f"error: {options.output} holds a dataset of other patients or organs; choose another folder")


def scratch_options(plans: PlansFile, folder: Path) -> tuple[list[str], list[str]]:
    """Settings and options of soars-plan by which new weights get the bundle's grid, architecture and patch."""
    settings = plans.settings
    architecture = plans.configuration["architecture"]["arch_kwargs"]
    values = {
        "features_per_stage": architecture["features_per_stage"],
        "n_convs_per_stage": architecture["n_convs_per_stage"],
        "hu_per_unit": settings.hu_per_unit,
        "low_pass_ratio": settings.low_pass_ratio,
        "max_patch_voxels": plans.configuration["patch_size"],
        "max_patch_mm": None,
    }
    genotype = folder / "genotype.json"
    write_json(genotype, {BRANCH: {"kinds": list(architecture["genotype"])}})
    spacing = [repr(float(mm)) for mm in plans.spacing_mm]
    named = [f"{key}={json.dumps(value, separators=(',', ':'))}" for key, value in values.items()]
    return named, ["--spacing", *spacing, "--genotype", str(genotype)]


class Comparison(Runner):
    """Plans and trains both arms for several numbers of epochs."""

    FREE = (*Runner.FREE, "epochs", "rates", "untouched")

    def everything(self, bundle: Bundle, held_out: Sequence[str]) -> str:
        """All trainings; returns a table a number of epochs."""
        theirs = PlansFile(bundle.branch(BRANCH).plans)
        named, scratch = scratch_options(theirs, self.output)
        start = ["--from-bundle", str(find_bundle(self.options.bundle).resolve())]
        trainings: dict[int, dict[str, str]] = {}
        for epochs in self.options.epochs:
            common = [f"num_epochs={epochs}", "final_validation=true", f"seed={self.options.seed}"]
            arms = {SCRATCH: f"Scratch{epochs}", "from the bundle": f"Bundle{epochs}"}
            self.plan(arms[SCRATCH], [BRANCH], [*common, *named], scratch)
            self.plan(arms["from the bundle"], [BRANCH], common, start)
            for rate in self.options.rates:
                arm = f"from the bundle, rate {rate:g}"
                arms[arm] = f"Bundle{epochs}Rate{rate:g}".replace(".", "p")
                self.plan(arms[arm], [BRANCH], [*common, f"initial_lr={rate}"], start)
            self.require_equal_networks(list(arms.values()))
            trainings[epochs] = arms
        names = []
        for arms in trainings.values():
            names += arms.values()
        self.map(lambda plans: self.train(BRANCH, plans, 0, finished=FINISHED), names)
        dice = {epochs: self.dice(arms) for epochs, arms in trainings.items()}
        text = tables(dice, self.steps(trainings))
        if self.options.untouched is None:
            return text
        return f"{text}\n\n{untouched_table(dice, our_dice(self.options.untouched, held_out))}"

    def require_equal_networks(self, names: Sequence[str]) -> None:
        """Exit if the arms differ in network, patch or grid."""
        found = []
        for name in names:
            configuration = PlansFile.read(self.cascade.plans(BRANCH, name)).configuration
            found.append([configuration[key] for key in ("architecture", "patch_size", "spacing", "batch_size")])
        if any(one != found[0] for one in found):
            sys.exit(f"error: plans {', '.join(names)} differ in architecture, patch, spacing or batch: {found}")

    def dice(self, arms: Mapping[str, str]) -> dict[str, Dice]:
        """DSC of each arm by organ and case."""
        labels = read_json(self.cascade.raw(BRANCH) / "dataset.json")["labels"]
        found: dict[str, Dice] = {}
        for arm, plans in arms.items():
            scores = validation_dice([self.folder(BRANCH, plans, 0)], labels)
            found[arm] = {organ: cases for organ, cases in scores.items() if cases}
        return found

    def steps(self, trainings: Mapping[int, Mapping[str, str]]) -> dict[int, int]:
        """Steps by number of epochs."""
        found = {}
        for epochs, arms in trainings.items():
            settings = PlansFile.read(self.cascade.plans(BRANCH, arms[SCRATCH])).settings
            found[epochs] = epochs * (settings.iterations_per_epoch or 0)
        return found


def tables(dice: Mapping[int, Mapping[str, Dice]], steps: Mapping[int, int]) -> str:
    """Markdown: a table a number of epochs, each arm compared with the first."""
    parts = []
    for epochs, arms in sorted(dice.items()):
        parts.append(f"{steps[epochs]} steps:")
        parts.append(paired_table(arms))
    return "\n\n".join(parts)


def untouched_table(dice: Mapping[int, Mapping[str, Dice]], untouched: Dice) -> str:
    """Markdown: the longest trainings against the bundle as it is, on the organs that it knows."""
    longest = dice[max(dice)]
    return f"Against the bundle as it is:\n\n{paired_table({UNTOUCHED: untouched, **longest})}"


def main() -> None:
    """Parse, prepare, train, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles_dataset", type=Path, metavar="DATASET", help="raw nnU-Net dataset with cases.json")
    parser.add_argument("bundle", help="name or path")
    parser.add_argument("-p", "--profile", required=True)
    parser.add_argument("--one-tier", action="store_true", help="mid-level organs among the anchors, as in openkbp7")
    parser.add_argument("--fold", type=int, default=0, help="of the bundle, which has not seen the patients")
    parser.add_argument("--training", type=int, default=8, help="patients that train")
    parser.add_argument("--held-out", type=int, help="of the others, so many; all by default")
    parser.add_argument("--epochs", nargs="+", type=int, default=[1, 2, 4, 8], help="a training of each length")
    parser.add_argument("--rates", nargs="+", type=float, default=[], help="further learning rates from the bundle")
    parser.add_argument("--drop", nargs="+", default=[], metavar="ORGAN", help="organs that the profile lacks")
    parser.add_argument("--add-bone", action="store_true", help="an organ that the bundle lacks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--untouched", type=Path, metavar="FOLDER", help="cross-validation of the bundle's training")
    add_options(parser, dataset=False)
    options = parse(parser)
    bundle = open_bundle(options.bundle)
    use_folders(options.output)
    profile = own_profile(options)
    patients = choose_patients(options, bundle, profile)
    require_prepared(options, patients, profile)
    names = ("output", "device", "jobs", "set", "plan", "bundle", "epochs", "rates", "seed", "untouched")
    kept = {name: getattr(options, name) for name in names}
    comparison = Comparison(argparse.Namespace(dataset=NUMBER, **kept))
    text = comparison.everything(bundle, patients.held_out)
    counts = f"{len(patients.training)} training patients, {len(patients.held_out)} held out"
    comparison.report("from_bundle.md", f"{bundle.name}, fold {options.fold}; {counts}.\n\n{text}")


if __name__ == "__main__":
    main()
