#!/usr/bin/env python
"""Rerun the paper's ablations on a dataset: tables 1, 2 and 7, the paper's own figures beside them.

    soars-stratify -d 42 -p hn42 --baseline
    python -m scripts.experiments.ablation -d 42 -o OUT --folds 0 -- --regime demo --spacing 3 3 3

Works on a dataset stratified with ``--baseline``, in nnU-Net folders of its own: it owns the plans
nnUNetPlans (all 3D3), CTOnly, DetectionCTOnly and NAS. What follows ``--`` goes to soars-plan. The networks of a tier
train with the same regime and steps in all rows, the baseline with its own network's, by plain commands; finished steps
are kept. Rows are compared on the validation cases of ``--folds`` by models that did not see them; detection, of which
every fold is needed, on all cases. Small & hard rows but the baseline are segmented in VOIs round predicted peaks. All
networks run with tiles half a patch apart, the cascade's on all of the patient's box, the baseline on the whole scan by
nnU-Net's validation. Distances are
means over what all rows of the tier found, which no row's misses can flatter.
``--search`` searches every branch's genotype on the training cases of the one fold that is scored; without it the NAS
rows have the published genotypes. ``--fine-tune`` adds the plain cascade fine-tuned end to end, anchors
moving or frozen, and may be given when all else is done; ``--no-nas`` leaves the NAS rows out.
"""

import argparse
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from scripts.experiments.ablation_tables import AblationTables, read_paper
from scripts.experiments.runner import ALL_3D3, EVERYWHERE, HALF_STEPS, Runner, add_options, parse
from soars_nnunet.branches import BRANCHES as ALL_BRANCHES
from soars_nnunet.cascade.plans_file import CONFIGURATION
from soars_nnunet.cascade.record import DEFAULT_PLANS, DETECTIONS, GENOTYPE
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.guidance.detections import detection_spacing_mm
from soars_nnunet.networks.genotype import published_genotype

TIERS = ("anchor", "mid_level", "small_hard")
BRANCHES = (*TIERS, "detection")
PLAIN, CT_ONLY, DETECTION_CT_ONLY, NAS = DEFAULT_PLANS, "CTOnly", "DetectionCTOnly", "NAS"
BASELINE = "baseline"
ROWS = {
    "anchor": {"baseline": BASELINE, "CT only": PLAIN, "CT, NAS": NAS},
    "mid_level": {"baseline": BASELINE, "CT only": CT_ONLY, "CT + anchor": PLAIN, "CT + anchor, NAS": NAS},
    "small_hard": {"baseline": BASELINE, "CT only": CT_ONLY, "CT + heat map": PLAIN, "CT + heat map, NAS": NAS},
}
"""Which evaluation a row of table 1 is read from, by tier."""
DETECTION_ROWS = {"CT only": DETECTION_CT_ONLY, "CT + anchor": PLAIN}
"""Plans name of a row of tables 2 and 7."""
FINE_TUNED = {
    "fine-tuned": ("FineTuned", ("anchor", "mid_level", "detection", "small_hard")),
    "fine-tuned, anchors frozen": ("FineTunedFrozen", ("mid_level", "detection", "small_hard")),
}
"""Plans name of each fine-tuning of the plain cascade, and what moves in it."""


class Ablation(Runner):
    """Trains and scores every variant."""

    FREE = (*Runner.FREE, "fine_tune")

    def check_dataset(self) -> None:
        """There must be a baseline dataset, and no plans that these would replace."""
        cascade = self.cascade
        if "baseline" not in cascade.datasets:
            sys.exit(f"error: {cascade.source} has no baseline dataset; rerun soars-stratify with --baseline")
        if cascade.plans("anchor", PLAIN).is_file():
            sys.exit(f"error: {cascade.source} has plans of its own; stratify it in nnU-Net folders for the ablation")

    @property
    def has_detection(self) -> bool:
        """Whether the dataset has small & hard organs, which are detected."""
        return "detection" in self.cascade.datasets

    def present(self, branches: Sequence[str]) -> list[str]:
        """Those branches that the dataset has."""
        return [branch for branch in branches if branch in self.cascade.datasets]

    def everything(self) -> None:
        """All variants in the order in which they need each other's output."""
        self.write_genotypes(PLAIN, dict.fromkeys((*BRANCHES, "baseline"), ALL_3D3))
        self.baseline()
        self.whole(PLAIN)
        self.ct_only()
        if not self.options.no_nas:
            self.write_genotypes(NAS, self.searched())
            self.whole(NAS)
            if self.has_detection:  # a dataset has one set of crops: leave the plain ones
                self.channels(PLAIN)
        if self.options.fine_tune:
            for plans, moved in FINE_TUNED.values():
                self.fine_tune(plans, self.present(moved))

    def searched(self) -> dict[str, Sequence[str]]:
        """Genotypes of the NAS rows: of searches with the plain rows' guidance, of files, else the published ones."""
        found: dict[str, Sequence[str]] = {}
        for branch in BRANCHES:
            found[branch] = published_genotype(branch)
        paths = [Path(path) for path in self.options.genotype]
        if self.options.search:
            paths = self.map(self.search, self.present(BRANCHES))
        for path in paths:
            for branch, entry in read_json(path).items():
                found[branch] = entry["kinds"]
        return found

    def search(self, branch: str) -> Path:
        """Search a branch on the training cases of the scored fold; returns its genotype.json."""
        trainer = ALL_BRANCHES[branch].trainer.replace("Trainer", "SearchTrainer")
        folder = self.train(branch, PLAIN, self.options.folds[0], trainer=trainer, finished=GENOTYPE)
        return folder / GENOTYPE

    def write_genotypes(self, plans: str, kinds: Mapping[str, Sequence[str]]) -> None:
        """Write a variant's genotypes where ``genotype_of`` finds them."""
        known = {}
        for branch in self.present(list(kinds)):
            known[branch] = {"kinds": kinds[branch]}
        write_json(self.output / f"genotype_{plans}.json", known)

    def genotype_of(self, plans: str) -> list[str]:
        """Option of soars-plan."""
        return ["--genotype", str(self.output / f"genotype_{plans}.json")]

    def whole(self, plans: str) -> None:
        """A complete cascade: anchors and detection in all folds, as others are guided by them."""
        if self.evaluation(plans).is_file():
            return
        genotype = self.genotype_of(plans)
        self.plan(plans, ["anchor"], plan_options=genotype)
        self.every_fold("anchor", plans)
        self.channels(plans, ["--branches", "anchor"])
        if self.has_detection:
            self.plan(plans, ["detection"], plan_options=genotype)
            self.every_fold("detection", plans)
            self.channels(plans)
        self.some_folds(plans, genotype)
        self.evaluate(plans)

    def ct_only(self) -> None:
        """Detection by itself, and mid-level and small & hard with the plain anchors and detection."""
        if self.evaluation(CT_ONLY).is_file():
            return
        options = ["--guidance", "none"] + self.genotype_of(PLAIN)
        if self.has_detection:
            self.plan(DETECTION_CT_ONLY, ["detection"], plan_options=options)
            self.every_fold("detection", DETECTION_CT_ONLY)
            self.channels(DETECTION_CT_ONLY)
            self.channels(PLAIN)  # small & hard keeps the plain crops
        self.some_folds(CT_ONLY, options)
        self.evaluate(CT_ONLY)

    def some_folds(self, plans: str, plan_options: Sequence[str]) -> None:
        """The branches that guide no other."""
        trainings = []
        for branch in self.present(("mid_level", "small_hard")):
            self.plan(plans, [branch], plan_options=plan_options)
            trainings += [(branch, fold) for fold in self.options.folds]
        self.map(lambda training: self.train(training[0], plans, training[1]), trainings)

    def every_fold(self, branch: str, plans: str) -> None:
        """Train all folds of a guiding branch."""
        folds = range(len(self.cascade.splits()))
        self.map(lambda fold: self.train(branch, plans, fold), folds)

    def channels(self, plans: str, options: Sequence[str] = ()) -> None:
        """Out-of-fold output of a variant's guiding branches."""
        command = ["soars-channels"] + self.common() + ["--plans-name", plans]
        command += EVERYWHERE
        command += options
        self.run(f"channels_{plans}{''.join(options)}", command)

    def evaluate(self, plans: str) -> None:
        """Score a cascade on the folds' validation cases."""
        self.cross_validate(plans, EVERYWHERE + HALF_STEPS, self.options.folds)

    def fine_tune(self, plans: str, moved: Sequence[str]) -> None:
        """The plain cascade, joined and trained on (paper sec. 4.2, step 3)."""
        if self.evaluation(plans).is_file():
            return
        source = str(self.options.dataset)
        command = ["soars-plan", "-d", source, "--fine-tune", plans, "--set", f"fine_tuned={json.dumps(moved)}"]
        self.run(f"plan_{plans}", command)
        trainer = ALL_BRANCHES["fine_tune"].trainer
        for fold in self.options.folds:
            command = ["nnUNetv2_train", source, CONFIGURATION, str(fold), "-tr", trainer, "-p", plans]
            command += ["-device", self.options.device, "--c"]
            self.seconds[f"{plans}_{fold}"] = self.run(f"train_{plans}_{fold}", command)
        self.evaluate(plans)

    def baseline(self) -> None:
        """One network on all organs, scored on what nnU-Net's validation writes."""
        if self.evaluation(BASELINE).is_file():
            return
        self.plan(PLAIN, ["baseline"], ["baseline.final_validation=true"], self.genotype_of(PLAIN))
        labels = self.cascade.raw("baseline") / "dataset.json"
        ending = read_json(labels)["file_ending"]
        predicted = self.output / BASELINE
        shutil.rmtree(predicted, ignore_errors=True)
        predicted.mkdir()
        for fold in self.options.folds:
            folder = self.train("baseline", PLAIN, fold, finished="validation/summary.json") / "validation"
            for path in folder.glob(f"*{ending}"):
                (predicted / path.name).symlink_to(path.resolve())
        profile = self.output / "profile.json"
        write_json(profile, self.cascade.profile.to_dict())
        truth = self.cascade.preprocessed("baseline") / "gt_segmentations"
        command = ["soars-evaluate", "-p", str(predicted), "-r", str(truth), "--profile", str(profile)]
        command += ["--prediction-labels", str(labels), "--reference-labels", str(labels), "--allow-missing"]
        command.append("--empty-means-absent")  # as the cascade is scored; tables leave out what is not annotated
        self.run("evaluate_baseline", command)
        os.replace(predicted / "evaluation.json", self.evaluation(BASELINE))

    def tables(self) -> AblationTables:
        """What the tables of this run are read from."""
        rows: dict[str, dict[str, Path]] = {}
        for tier in self.present(TIERS):
            rows[tier] = {}
            for row, name in ROWS[tier].items():
                if name != NAS or not self.options.no_nas:
                    rows[tier][row] = self.evaluation(name)
        detections = {}
        if self.has_detection:
            for row, plans in DETECTION_ROWS.items():
                detections[row] = self.cascade.channels("detection", plans) / DETECTIONS
        return AblationTables(rows, detections, read_paper())

    def text(self) -> str:
        """All tables of this run, Markdown."""
        tables = self.tables()
        parts = [tables.table1(), tables.paired()]
        if self.options.fine_tune:
            fine_tuned = {row: self.evaluation(plans) for row, (plans, _) in FINE_TUNED.items()}
            parts.append(tables.fine_tunings(self.evaluation(PLAIN), fine_tuned))
        if self.has_detection:
            spacing_mm = detection_spacing_mm(self.cascade, PLAIN)
            parts += [tables.table2(), tables.table7(spacing_mm)]
        return "\n\n".join("\n".join(part) for part in parts)


def main() -> None:
    """Parse, train, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--folds", type=int, nargs="+", default=[0], help="whose validation cases are scored")
    parser.add_argument(
        "--genotype", nargs="+", action="extend", default=[], metavar="FILE", help="of searches, for the NAS rows"
    )
    parser.add_argument("--search", action="store_true", help="search the NAS rows' genotypes; then one fold is scored")
    parser.add_argument("--fine-tune", action="store_true", help="fine-tune the plain cascade end to end, too")
    parser.add_argument("--no-nas", action="store_true", help="leave the NAS rows out")
    options = parse(parser)
    if options.search and (options.genotype or len(options.folds) > 1):
        parser.error("--search: expected no --genotype and one fold, as others' scored cases would be searched on")
    ablation = Ablation(options)
    ablation.everything()
    ablation.report("ablation.md", ablation.text())


if __name__ == "__main__":
    main()
