"""Tables that compare trainings on the same cases."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from soars_nnunet.cascade.storage import read_json

Dice = Mapping[str, Mapping[str, float]]
"""DSC by organ and case; cases in which nobody drew the organ are left out."""
MEAN = "mean of organs"


def validation_dice(folds: Iterable[Path], labels: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """DSC by organ and case from the summaries in trained folds' folders; only of organs that the reference has."""
    found: dict[str, dict[str, float]] = {name: {} for name, label in labels.items() if label}
    for folder in folds:
        for entry in read_json(folder / "validation" / "summary.json")["metric_per_case"]:
            case = Path(entry["reference_file"]).name
            for name, cases in found.items():
                metrics = entry["metrics"][str(labels[name])]
                if np.isfinite(metrics["Dice"]) and metrics["n_ref"]:
                    cases[case] = metrics["Dice"]
    return found


def paired_table(arms: Mapping[str, Dice], groups: Sequence[Sequence[str]] = ()) -> str:
    """Markdown: mean DSC by organ and arm, and each arm's paired difference to the first one, in points.

    Args:
        arms: DSC of each arm; the first is what the others are compared with.
        groups: Cases of each fold; then the differences are also given fold by fold.
    """
    base, *others = arms
    header = ["organ", "cases", base]
    for arm in others:
        header += [arm, "difference [95 % interval]", *(["by fold"] if groups else [])]
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    tables = {arm: {**organs, MEAN: _case_means(organs)} for arm, organs in _common(arms).items()}
    for organ, before in tables[base].items():
        cells = [organ, str(len(before)), f"{np.mean(list(before.values())):.3f}"]
        for arm in others:
            after = tables[arm][organ]
            gain = {case: 100 * (after[case] - before[case]) for case in before}
            values = np.array(list(gain.values()))
            half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
            interval = f"{values.mean():+.1f} [{values.mean() - half:+.1f}, {values.mean() + half:+.1f}]"
            cells += [f"{np.mean(list(after.values())):.3f}", interval]
            if groups:
                by_fold = ([gain[case] for case in cases if case in gain] for cases in groups)
                cells.append(" ".join(f"{np.mean(gains):+.1f}" if gains else "-" for gains in by_fold))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def mean_of(trainings: Sequence[Dice]) -> dict[str, dict[str, float]]:
    """DSC by organ and case, averaged over trainings that differ in their seed; of what all of them scored."""
    alike = list(_common({str(index): dice for index, dice in enumerate(trainings)}).values())
    return {
        organ: {case: float(np.mean([dice[organ][case] for dice in alike])) for case in cases}
        for organ, cases in alike[0].items()
    }


def _common(arms: Mapping[str, Dice]) -> dict[str, dict[str, dict[str, float]]]:
    """The arms' values of the organs and cases that all of them have."""
    pairs = [{(organ, case) for organ, cases in organs.items() for case in cases} for organs in arms.values()]
    shared = set.intersection(*pairs)
    return {
        arm: {
            organ: kept
            for organ, cases in organs.items()
            if (kept := {case: dsc for case, dsc in cases.items() if (organ, case) in shared})
        }
        for arm, organs in arms.items()
    }


def _case_means(organs: Dice) -> dict[str, float]:
    """Mean DSC of each case's organs."""
    values: dict[str, list[float]] = {}
    for cases in organs.values():
        for case, dsc in cases.items():
            values.setdefault(case, []).append(dsc)
    return {case: float(np.mean(dscs)) for case, dscs in values.items()}
