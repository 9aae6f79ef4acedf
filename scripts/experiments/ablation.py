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
import csv
import itertools
import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np

from scripts.experiments.runner import Runner, add_options, parse
from soars_nnunet.cascade.branches import BRANCHES as ALL_BRANCHES
from soars_nnunet.cascade.plans_file import CONFIGURATION
from soars_nnunet.cascade.record import DEFAULT_PLANS, DETECTIONS, GENOTYPE
from soars_nnunet.cascade.storage import read_json, write_json
from soars_nnunet.guidance.detections import detection_spacing_mm
from soars_nnunet.networks.genotype import NUM_BLOCKS, published_genotype

PAPER = Path(__file__).with_name("paper_tables.json")
"""The paper's own figures."""
TIERS = ("anchor", "mid_level", "small_hard")
BRANCHES = (*TIERS, "detection")
PLAIN, CT_ONLY, DETECTION_CT_ONLY, NAS = DEFAULT_PLANS, "CTOnly", "DetectionCTOnly", "NAS"
ROWS = {
    "anchor": {"baseline": "baseline", "CT only": PLAIN, "CT, NAS": NAS},
    "mid_level": {"baseline": "baseline", "CT only": CT_ONLY, "CT + anchor": PLAIN, "CT + anchor, NAS": NAS},
    "small_hard": {"baseline": "baseline", "CT only": CT_ONLY, "CT + heat map": PLAIN, "CT + heat map, NAS": NAS},
}
"""Which evaluation a row of table 1 is read from, by tier."""
FINE_TUNED = {
    "fine-tuned": ("FineTuned", "anchor mid_level detection small_hard"),
    "fine-tuned, anchors frozen": ("FineTunedFrozen", "mid_level detection small_hard"),
}
"""Plans name of each fine-tuning of the plain cascade, and what moves in it."""
METRICS = ("hd_mm", "asd_mm")
"""Distances in table 1."""
DETECTED = ("distance_mm", "hd_mm")
"""What tables 2 and 7 say of a detected centre."""


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

    def everything(self) -> None:
        """All variants in the order in which they need each other's output."""
        self.genotypes(PLAIN, dict.fromkeys((*BRANCHES, "baseline"), ["3D3"] * NUM_BLOCKS))
        self.baseline()
        self.whole(PLAIN)
        self.ct_only()
        if not self.options.no_nas:
            self.genotypes(NAS, self.searched())
            self.whole(NAS)
            if "detection" in self.cascade.datasets:  # a dataset has one set of crops: leave the plain ones
                self.channels(PLAIN)
        if self.options.fine_tune:
            for plans, moved in FINE_TUNED.values():
                self.fine_tune(plans, [branch for branch in moved.split() if branch in self.cascade.datasets])

    def searched(self) -> dict[str, list[str]]:
        """Genotypes of the NAS rows: of searches with the plain rows' guidance, of files, else the published ones."""
        found = {branch: published_genotype(branch) for branch in BRANCHES}
        paths = [Path(path) for path in self.options.genotype]
        if self.options.search:
            paths = self.map(self.search, [branch for branch in BRANCHES if branch in self.cascade.datasets])
        for path in paths:
            found |= {branch: entry["kinds"] for branch, entry in read_json(path).items()}
        return found

    def search(self, branch: str) -> Path:
        """Search a branch on the training cases of the scored fold; returns its genotype.json."""
        trainer = ALL_BRANCHES[branch].trainer.replace("Trainer", "SearchTrainer")
        return self.train(branch, PLAIN, self.options.folds[0], trainer, finished=GENOTYPE) / GENOTYPE

    def genotypes(self, plans: str, kinds: dict[str, list[str]]) -> None:
        """Write a variant's genotypes where ``genotype_of`` finds them."""
        known = {branch: {"kinds": k} for branch, k in kinds.items() if branch in self.cascade.datasets}
        write_json(self.output / f"genotype_{plans}.json", known)

    def genotype_of(self, plans: str) -> list[str]:
        """Option of soars-plan."""
        return ["--genotype", str(self.output / f"genotype_{plans}.json")]

    def whole(self, plans: str) -> None:
        """A complete cascade: anchors and detection in all folds, as others are guided by them."""
        if self.evaluation(plans).is_file():
            return
        self.plan(plans, ["anchor"], (), *self.genotype_of(plans))
        self.every_fold("anchor", plans)
        self.channels(plans, "--branches", "anchor")
        if "detection" in self.cascade.datasets:
            self.plan(plans, ["detection"], (), *self.genotype_of(plans))
            self.every_fold("detection", plans)
            self.channels(plans)
        self.some_folds(plans, *self.genotype_of(plans))
        self.evaluate(plans)

    def ct_only(self) -> None:
        """Detection by itself, and mid-level and small & hard with the plain anchors and detection."""
        if self.evaluation(CT_ONLY).is_file():
            return
        options = ["--guidance", "none", *self.genotype_of(PLAIN)]
        if "detection" in self.cascade.datasets:
            self.plan(DETECTION_CT_ONLY, ["detection"], (), *options)
            self.every_fold("detection", DETECTION_CT_ONLY)
            self.channels(DETECTION_CT_ONLY, "--no-crops")
        self.some_folds(CT_ONLY, *options)
        self.evaluate(CT_ONLY)

    def some_folds(self, plans: str, *plan_options: str) -> None:
        """The branches that guide no other."""
        branches = [branch for branch in ("mid_level", "small_hard") if branch in self.cascade.datasets]
        for branch in branches:
            self.plan(plans, [branch], (), *plan_options)
        trainings = [(branch, fold) for branch in branches for fold in self.options.folds]
        self.map(lambda training: self.train(training[0], plans, training[1]), trainings)

    def every_fold(self, branch: str, plans: str) -> None:
        """Train all folds of a guiding branch."""
        self.map(lambda fold: self.train(branch, plans, fold), range(len(self.cascade.splits())))

    def channels(self, plans: str, *options: str) -> None:
        """Out-of-fold output of a variant's guiding branches."""
        name = ["-d", str(self.options.dataset), "--plans-name", plans, "--device", self.options.device, "--everywhere"]
        self.run(f"channels_{plans}{''.join(options)}", "soars-channels", *name, *options)

    def evaluate(self, plans: str) -> None:
        """Score a cascade on the folds' validation cases."""
        folds = [str(fold) for fold in self.options.folds]
        name = ["-d", str(self.options.dataset), "--plans-name", plans, "--device", self.options.device]
        alike = ["--everywhere", "--step-size", "0.5"]
        self.run(f"cross_validate_{plans}", "soars-cross-validate", *name, *alike, "--folds", *folds)
        done = self.cascade.manifest(plans).parent / "cross_validation"
        shutil.copyfile(done / f"evaluation_folds_{'_'.join(folds)}.json", self.evaluation(plans))

    def fine_tune(self, plans: str, moved: list[str]) -> None:
        """The plain cascade, joined and trained on (paper sec. 4.2, step 3)."""
        if self.evaluation(plans).is_file():
            return
        source, device = str(self.options.dataset), self.options.device
        setting = f"fine_tuned={json.dumps(moved)}"
        self.run(f"plan_{plans}", "soars-plan", "-d", source, "--fine-tune", plans, "--set", setting)
        trainer = ALL_BRANCHES["fine_tune"].trainer
        command = ["nnUNetv2_train", source, CONFIGURATION, "-tr", trainer, "-p", plans, "-device", device]
        for fold in map(str, self.options.folds):
            self.seconds[f"{plans}_{fold}"] = self.run(f"train_{plans}_{fold}", *command[:3], fold, *command[3:], "--c")
        self.evaluate(plans)

    def baseline(self) -> None:
        """One network on all organs, scored on what nnU-Net's validation writes."""
        if self.evaluation("baseline").is_file():
            return
        self.plan(PLAIN, ["baseline"], ["baseline.final_validation=true"], *self.genotype_of(PLAIN))
        predicted = self.output / "baseline"
        shutil.rmtree(predicted, ignore_errors=True)
        predicted.mkdir()
        for fold in self.options.folds:
            folder = self.train("baseline", PLAIN, fold, finished="validation/summary.json") / "validation"
            for path in folder.glob(f"*{read_json(self.cascade.raw('baseline') / 'dataset.json')['file_ending']}"):
                (predicted / path.name).symlink_to(path.resolve())
        labels = str(self.cascade.raw("baseline") / "dataset.json")
        profile = self.output / "profile.json"
        write_json(profile, self.cascade.profile.to_dict())
        truth = str(self.cascade.preprocessed("baseline") / "gt_segmentations")
        command = ["soars-evaluate", "-p", str(predicted), "-r", truth, "--profile", str(profile), "--allow-missing"]
        command.append("--empty-means-absent")  # as the cascade is scored; `scores` leaves out what nobody drew
        self.run("evaluate_baseline", *command, "--prediction-labels", labels, "--reference-labels", labels)
        os.replace(predicted / "evaluation.json", self.evaluation("baseline"))

    def rows(self) -> dict[str, dict[str, str]]:
        """The rows of this run, by tier."""
        left_out = {NAS} if self.options.no_nas else set()
        return {
            tier: {row: name for row, name in rows.items() if name not in left_out}
            for tier, rows in ROWS.items()
            if tier in self.cascade.datasets
        }

    def evaluation(self, name: str) -> Path:
        """Where the scores of a variant are kept."""
        return self.output / f"evaluation_{name}.json"

    def table1(self, paper: dict) -> list[str]:
        """Markdown of table 1: means over the tier's organs and cases, ours | the paper's."""
        lines = ["| tier | row | DSC % | missed | HD mm | ASD mm | paper DSC | HD | ASD |", "|---" * 9 + "|"]
        for tier, rows in self.rows().items():
            scores = dict(zip(rows, self.scores(list(rows.values()), tier), strict=True))
            hits = ({key for key, score in of.items() if score["hd_mm"] is not None} for of in scores.values())
            found = set.intersection(*hits)
            for row, of in scores.items():
                cells = [
                    f"{100 * np.mean([score['dsc'] for score in of.values()]):.2f}",
                    f"{sum(score['hd_mm'] is None for score in of.values())} of {len(of)}",
                    *(f"{np.mean([of[key][m] for key in found]):.2f}" if found else "-" for m in METRICS),
                ]
                theirs = [f"{value:.2f}" for value in paper["table1"][tier][row]]
                lines.append(f"| {' | '.join([tier, row, *cells, *theirs])} |")
        return lines

    def scores(self, names: list[str], tier: str) -> list[dict[tuple[str, str], dict]]:
        """Scores of evaluations by case and organ of a tier: of those that all of them score."""
        found = []
        for name in names:
            rows = [row for row in read_json(self.evaluation(name))["scores"] if row["tier"] == tier]
            found.append({(row["case"], row["organ"]): row for row in rows if row["dsc"] is not None})
        shared = set.intersection(*map(set, found))
        return [{key: row for key, row in of.items() if key in shared} for of in found]

    def paired(self) -> list[str]:
        """Markdown: mean difference of each row to the one above it, over cases (each the mean of its organs' DSC)."""
        lines = ["| tier | row against the one above | DSC difference % | SD over cases | cases |", "|---" * 5 + "|"]
        for tier, rows in self.rows().items():
            means = dict(zip(rows, self.case_means(list(rows.values()), tier), strict=True))
            for above, row in itertools.pairwise(rows):
                first, second = means[above], means[row]
                differences = 100 * np.array([second[case] - first[case] for case in sorted(first)])
                spread = f"{differences.std(ddof=1):.2f}" if len(differences) > 1 else "-"
                lines.append(f"| {tier} | {row} | {differences.mean():+.2f} | {spread} | {len(differences)} |")
        return lines

    def fine_tunings(self) -> list[str]:
        """Markdown: DSC of the plain cascade, and mean difference of the fine-tuned ones to it, over cases."""
        lines = ["| tier | plain DSC % | row | DSC difference % | SD over cases | cases |", "|---" * 6 + "|"]
        for tier in self.rows():
            before, *others = self.case_means([PLAIN, *(plans for plans, _ in FINE_TUNED.values())], tier)
            for row, after in zip(FINE_TUNED, others, strict=True):
                gain = 100 * np.array([after[case] - before[case] for case in sorted(before)])
                spread = f"{gain.std(ddof=1):.2f}" if len(gain) > 1 else "-"
                cells = [tier, f"{100 * np.mean(list(before.values())):.2f}", row, f"{gain.mean():+.2f}", spread]
                lines.append(f"| {' | '.join(cells)} | {len(gain)} |")
        return lines

    def case_means(self, names: list[str], tier: str) -> list[dict[str, float]]:
        """Mean DSC of a case's organs of a tier, of those that all evaluations score."""
        means = []
        for scores in self.scores(names, tier):
            values: dict[str, list[float]] = {}
            for (case, _), score in scores.items():
                values.setdefault(case, []).append(score["dsc"])
            means.append({case: float(np.mean(dscs)) for case, dscs in values.items()})
        return means

    def detections(self) -> dict[str, dict[str, list[list[float]]]]:
        """Distance and HD of every case, by row and target."""
        found: dict[str, dict[str, list[list[float]]]] = {}
        for row, plans in {"CT only": DETECTION_CT_ONLY, "CT + anchor": PLAIN}.items():
            table = (self.cascade.channels("detection", plans) / DETECTIONS).read_text(encoding="utf-8").splitlines()
            for entry in csv.DictReader(table):
                pair = [float(entry[key]) for key in DETECTED]
                found.setdefault(row, {}).setdefault(entry["target"], []).append(pair)
        return found

    def table2(self, paper: dict) -> list[str]:
        """Markdown of table 2: distance over all targets and cases."""
        lines = ["| detection | distance mm | SD | paper | SD |", "|---" * 5 + "|"]
        for row, targets in self.detections().items():
            distances = np.array([pair[0] for pairs in targets.values() for pair in pairs])
            theirs = [f"{value:.2f}" for value in paper["table2"][row]]
            ours = [f"{distances.mean():.2f}", f"{distances.std(ddof=1):.2f}"]
            lines.append(f"| {' | '.join([row, *ours, *theirs])} |")
        return lines

    def table7(self, paper: dict) -> list[str]:
        """Markdown of table 7: mean and SD by target with and without anchors, ours | the paper's."""
        found = self.detections()
        columns = [f"{what} {row}" for what in ("distance mm", "HD mm") for row in found]
        lines = [f"| target | {' | '.join([*columns, *(f'paper {column}' for column in columns)])} |", "|---" * 9 + "|"]
        theirs, means = paper["table7"], {}
        for target in dict.fromkeys(target for rows in found.values() for target in rows):
            values = {(key, row): np.array(found[row][target])[:, i] for i, key in enumerate(DETECTED) for row in found}
            means[target] = {key: column.mean() for key, column in values.items()}
            ours = [f"{v.mean():.1f} ± {v.std(ddof=1) if len(v) > 1 else np.nan:.1f}" for v in values.values()]
            known = [theirs[target][row][key] if target in theirs else None for key, row in values]
            cells = [f"{pair[0]:.1f} ± {pair[1]:.1f}" if pair else "-" for pair in known]
            lines.append(f"| {' | '.join([target, *ours, *cells])} |")
        shared = [target for target in means if target in theirs]
        if shared:
            keys = list(means[shared[0]])
            cells = [f"{np.mean([means[target][key] for target in shared]):.1f}" for key in keys]
            cells += [f"{paper['table7_average'][row][key]:.1f}" for key, row in keys]
            lines.append(f"| average of the {len(shared)} that the paper has | {' | '.join(cells)} |")
        spacing = detection_spacing_mm(self.cascade, PLAIN)
        lines += ["", f"HD of the 1000 brightest voxels of {' x '.join(f'{mm:g}' for mm in spacing)} mm (Z, Y, X)."]
        return lines


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
    paper = read_json(PAPER)
    parts = [ablation.table1(paper), ablation.paired()]
    if options.fine_tune:
        parts.append(ablation.fine_tunings())
    if "detection" in ablation.cascade.datasets:
        parts += [ablation.table2(paper), ablation.table7(paper)]
    text = "\n\n".join("\n".join(part) for part in parts)
    (ablation.output / "ablation.md").write_text(text + "\n", encoding="utf-8")
    print(text, f"minutes: {json.dumps(ablation.minutes())}", sep="\n\n")


if __name__ == "__main__":
    main()
