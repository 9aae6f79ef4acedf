"""Tables that compare trainings on the same cases."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from scripts import markdown
from soars_nnunet.cascade.storage import read_json
from soars_nnunet.evaluation.evaluation_file import read_evaluation

Dice = Mapping[str, Mapping[str, float]]
"""DSC by organ and case; cases in which the organ is not annotated are left out."""
MEAN = "mean of organs"
CONFIDENCE = 0.95
"""Of the intervals of differences."""


def validation_dice(folds: Iterable[Path], labels: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """DSC by organ and case from the summaries in trained folds' folders; only of organs that the reference has.

    Args:
        folds: Folders of trained folds; nnU-Net's validation has written its summary into each.
        labels: Label by organ; the background, 0, is left out.
    """
    organs = [name for name, label in labels.items() if label]
    found: dict[str, dict[str, float]] = {name: {} for name in organs}
    for folder in folds:
        summary = read_json(folder / "validation" / "summary.json")
        for entry in summary["metric_per_case"]:
            case = Path(entry["reference_file"]).name
            for name in organs:
                metrics = entry["metrics"][str(labels[name])]
                if np.isfinite(metrics["Dice"]) and metrics["n_ref"]:
                    found[name][case] = metrics["Dice"]
    return found


def evaluation_dice(path: Path, tier: str) -> dict[str, dict[str, float]]:
    """DSC of a tier's organs by organ and case, from an evaluation.json; only of what was scored."""
    found: dict[str, dict[str, float]] = {}
    for score in read_evaluation(path).scores:
        if score.tier == tier and score.dsc is not None:
            found.setdefault(score.organ, {})[score.case] = score.dsc
    return found


def paired_table(arms: Mapping[str, Dice], groups: Sequence[Sequence[str]] = ()) -> str:
    """Markdown: mean DSC by organ and arm, and each arm's paired difference to the first one, in points.

    Args:
        arms: DSC of each arm; the first is what the others are compared with.
        groups: Cases of each fold; then the differences are also given fold by fold.
    """
    base = next(iter(arms))
    others = [arm for arm in arms if arm != base]
    header = ["organ", "cases", base]
    for arm in others:
        header += [arm, "difference [95 % interval]"]
        if groups:
            header.append("by fold")
    tables = _common(arms)
    for organs in tables.values():
        organs[MEAN] = case_means(organs)
    lines = markdown.heading(header)
    for organ, before in tables[base].items():
        cells = [organ, str(len(before)), f"{mean(before):.3f}"]
        for arm in others:
            after = tables[arm][organ]
            gains = {case: 100 * (after[case] - before[case]) for case in before}
            cells += [f"{mean(after):.3f}", _interval(gains)]
            if groups:
                cells.append(_by_group(gains, groups))
        lines.append(markdown.row(cells))
    return "\n".join(lines)


def mean_of(trainings: Sequence[Dice]) -> dict[str, dict[str, float]]:
    """DSC by organ and case, averaged over trainings that differ in their seed; of what all of them scored."""
    named = {str(index): dice for index, dice in enumerate(trainings)}
    alike = list(_common(named).values())
    averaged: dict[str, dict[str, float]] = {}
    for organ, cases in alike[0].items():
        averaged[organ] = {}
        for case in cases:
            values = [dice[organ][case] for dice in alike]
            averaged[organ][case] = float(np.mean(values))
    return averaged


def case_means(organs: Dice) -> dict[str, float]:
    """Mean DSC of each case's organs."""
    values: dict[str, list[float]] = {}
    for cases in organs.values():
        for case, dsc in cases.items():
            values.setdefault(case, []).append(dsc)
    return {case: float(np.mean(dscs)) for case, dscs in values.items()}


def organ_mean(organs: Dice) -> float:
    """Mean of the organs' mean DSC, each organ alike however many cases have it; NaN where none has any."""
    means = [mean(cases) for cases in organs.values() if cases]
    return float(np.mean(means)) if means else float("nan")


def mean(by_case: Mapping[str, float]) -> float:
    """Mean over the cases."""
    return float(np.mean(list(by_case.values())))


def _interval(gains: Mapping[str, float]) -> str:
    """Mean of the paired differences with the confidence interval of a t test; NaN below two cases."""
    values = np.array(list(gains.values()))
    quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
    half = quantile * values.std(ddof=1) / len(values) ** 0.5
    center = values.mean()
    return f"{center:+.1f} [{center - half:+.1f}, {center + half:+.1f}]"


def _by_group(gains: Mapping[str, float], groups: Sequence[Sequence[str]]) -> str:
    """Mean difference of each group's cases; a dash where it has none."""
    cells = []
    for cases in groups:
        own = [gains[case] for case in cases if case in gains]
        cells.append(f"{np.mean(own):+.1f}" if own else "-")
    return " ".join(cells)


def _common(arms: Mapping[str, Dice]) -> dict[str, dict[str, dict[str, float]]]:
    """The arms' values of the organs and cases that all of them have; organs without such cases are left out."""
    shared = None
    for organs in arms.values():
        pairs: set[tuple[str, str]] = set()
        for organ, cases in organs.items():
            pairs.update((organ, case) for case in cases)
        shared = pairs if shared is None else shared & pairs
    kept: dict[str, dict[str, dict[str, float]]] = {}
    for arm, organs in arms.items():
        kept[arm] = {}
        for organ, cases in organs.items():
            for case, dsc in cases.items():
                if shared and (organ, case) in shared:
                    kept[arm].setdefault(organ, {})[case] = dsc
    return kept
