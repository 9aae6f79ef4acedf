"""The paper's tables 1, 2 and 7 from evaluations of an ablation's variants, the paper's own figures beside them."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from scripts import markdown
from scripts.experiments.paired import case_means, mean
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.evaluation.evaluation_file import read_evaluation
from soars_nnunet.evaluation.mean_std import format_mean_std
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Summary

PAPER = Path(__file__).with_name("paper_tables.json")
"""The paper's own figures."""
DISTANCES = ("hd_mm", "asd_mm")
"""Distances in table 1."""
DETECTED = {"distance_mm": "detected_mm", "hd_mm": "hd_mm"}
"""What tables 2 and 7 say of a detected centre, and what that is called in a ``TargetScore``."""
HEADS = {"distance_mm": "distance mm", "hd_mm": "HD mm"}

Scores = dict[tuple[str, str], OrganScore]
"""Scores of a tier by case and organ."""


@dataclass(frozen=True)
class AblationTables:
    """Writes the tables of one ablation.

    Attributes:
        rows: By tier and name of a row of table 1, the evaluation.json that it is read from; a row is compared with
            the one above it.
        detections: By row of tables 2 and 7, the detections.csv that it is read from.
        paper: The paper's figures, contents of ``PAPER``.
    """

    rows: Mapping[str, Mapping[str, Path]]
    detections: Mapping[str, Path]
    paper: Mapping[str, Any]

    def table1(self) -> list[str]:
        """Markdown of table 1: means over the tier's organs and cases, ours | the paper's."""
        header = ["tier", "row", "DSC %", "missed", "HD mm", "ASD mm", "paper DSC", "HD", "ASD"]
        lines = markdown.heading(header)
        for tier, paths in self.rows.items():
            scores = shared_scores(paths, tier)
            found = found_by_all(scores.values())
            for row, of in scores.items():
                cells = [tier, row] + cells_of_table1(of, found)
                cells += [f"{value:.2f}" for value in self.paper["table1"][tier][row]]
                lines.append(markdown.row(cells))
        return lines

    def paired(self) -> list[str]:
        """Markdown: mean difference of each row to the one above it, over cases (each the mean of its organs' DSC)."""
        header = ["tier", "row against the one above", "DSC difference %", "SD over cases", "cases"]
        lines = markdown.heading(header)
        for tier, paths in self.rows.items():
            means = dice_by_case(paths, tier)
            for above, row in itertools.pairwise(means):
                cells = [tier, row] + gain_cells(means[above], means[row])
                lines.append(markdown.row(cells))
        return lines

    def fine_tunings(self, plain: Path, fine_tuned: Mapping[str, Path]) -> list[str]:
        """Markdown: DSC of the plain cascade, and mean difference of the fine-tuned ones to it, over cases."""
        header = ["tier", "plain DSC %", "row", "DSC difference %", "SD over cases", "cases"]
        lines = markdown.heading(header)
        for tier in self.rows:
            means = dice_by_case({"plain": plain} | dict(fine_tuned), tier)
            before = means.pop("plain")
            for row, after in means.items():
                cells = [tier, f"{100 * mean(before):.2f}", row] + gain_cells(before, after)
                lines.append(markdown.row(cells))
        return lines

    def table2(self) -> list[str]:
        """Markdown of table 2: distance over all targets and cases."""
        lines = markdown.heading(["detection", "distance mm", "SD", "paper", "SD"])
        for row, path in self.detections.items():
            distances = []
            for values in detected(path, "distance_mm").values():
                distances += values
            cells = [row, f"{np.mean(distances):.2f}", f"{np.std(distances, ddof=1):.2f}"]
            cells += [f"{value:.2f}" for value in self.paper["table2"][row]]
            lines.append(markdown.row(cells))
        return lines

    def table7(self, spacing_mm: Sequence[float]) -> list[str]:
        """Markdown of table 7: mean and SD by target with and without anchors, ours | the paper's.

        Args:
            spacing_mm: Voxel size (Z, Y, X) of the heat maps, mm; a note names it.
        """
        columns = list(itertools.product(DETECTED, self.detections))
        found = {(metric, row): detected(self.detections[row], metric) for metric, row in columns}
        heads = [f"{HEADS[metric]} {row}" for metric, row in columns]
        lines = markdown.heading(["target"] + heads + [f"paper {head}" for head in heads])
        theirs = self.paper["table7"]
        targets = found[columns[0]]
        for target in targets:
            cells = [target]
            for column in columns:
                cells.append(mean_and_spread(found[column][target]))
            for metric, row in columns:
                mean_mm, std_mm = theirs[target][row][metric] if target in theirs else (None, None)
                cells.append(format_mean_std(mean_mm, std_mm))
            lines.append(markdown.row(cells))
        shared = [target for target in targets if target in theirs]
        if shared:
            cells = [f"average of the {len(shared)} that the paper has"]
            for column in columns:
                means = [np.mean(found[column][target]) for target in shared]
                cells.append(f"{np.mean(means):.1f}")
            for metric, row in columns:
                cells.append(f"{self.paper['table7_average'][row][metric]:.1f}")
            lines.append(markdown.row(cells))
        voxel = " x ".join(f"{mm:g}" for mm in spacing_mm)
        lines += ["", f"HD of the 1000 brightest voxels of {voxel} mm (Z, Y, X)."]
        return lines


def read_paper() -> dict[str, Any]:
    """The paper's tables."""
    return read_json(PAPER)


def shared_scores(paths: Mapping[str, Path], tier: str) -> dict[str, Scores]:
    """Scores of a tier by evaluation, of the cases and organs that all of them score."""
    found: dict[str, Scores] = {}
    shared: set[tuple[str, str]] | None = None
    for row, path in paths.items():
        found[row] = {}
        for score in read_evaluation(path).scores:
            if score.tier == tier and score.dsc is not None:
                found[row][score.case, score.organ] = score
        own = set(found[row])
        shared = own if shared is None else shared & own
    kept: dict[str, Scores] = {}
    for row, scores in found.items():
        kept[row] = {key: score for key, score in scores.items() if shared and key in shared}
    return kept


def found_by_all(rows: Iterable[Scores]) -> list[tuple[str, str]]:
    """Cases and organs that have a distance in every row: nobody missed them."""
    rows = list(rows)
    found = []
    for key in rows[0]:
        if all(scores[key].hd_mm is not None for scores in rows):
            found.append(key)
    return found


def cells_of_table1(scores: Scores, found: Sequence[tuple[str, str]]) -> list[str]:
    """DSC in percent and missed organs of a row; its distances over what all rows found."""
    dice = [score.dsc for score in scores.values() if score.dsc is not None]
    missed = [key for key, score in scores.items() if score.hd_mm is None]
    cells = [f"{100 * np.mean(dice):.2f}", f"{len(missed)} of {len(scores)}"]
    for metric in DISTANCES:
        values = [getattr(scores[key], metric) for key in found]
        cells.append(f"{np.mean(values):.2f}" if values else "-")
    return cells


def dice_by_case(paths: Mapping[str, Path], tier: str) -> dict[str, dict[str, float]]:
    """Mean DSC of a case's organs of a tier, by evaluation, of those that all evaluations score."""
    means = {}
    for row, scores in shared_scores(paths, tier).items():
        by_organ: dict[str, dict[str, float]] = {}
        for (case, organ), score in scores.items():
            if score.dsc is not None:
                by_organ.setdefault(organ, {})[case] = score.dsc
        means[row] = case_means(by_organ)
    return means


def gain_cells(before: Mapping[str, float], after: Mapping[str, float]) -> list[str]:
    """Mean paired difference in points, its SD over cases, and the number of cases."""
    gains = np.array([after[case] - before[case] for case in sorted(before)])
    spread = f"{100 * gains.std(ddof=1):.2f}" if len(gains) > 1 else "-"
    return [f"{100 * gains.mean():+.2f}", spread, str(len(gains))]


def detected(path: Path, metric: str) -> dict[str, list[float]]:
    """Values of a metric of detected centres by target, over the cases."""
    found: dict[str, list[float]] = {}
    for score in read_evaluation(path).targets:
        found.setdefault(score.target, []).append(getattr(score, DETECTED[metric]))
    return found


def mean_and_spread(values: Sequence[float]) -> str:
    """Mean ± sample SD; the mean alone of one value."""
    summary = Summary.of(values)
    return format_mean_std(summary.mean, summary.std)
