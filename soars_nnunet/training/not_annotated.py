"""What a trainer does with classes that nobody drew in some cases (``soars-stratify --not-annotated``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from nnunetv2.evaluation.evaluate_predictions import load_summary_json, save_summary_json

from soars_nnunet.cascade.record import NOT_ANNOTATED
from soars_nnunet.cascade.storage import read_object

Value = TypeVar("Value")


class ByCase(dict[str, Value]):
    """A value by case; its text names no case, because nnU-Net writes every attribute of a trainer into debug.json."""

    def __repr__(self) -> str:
        return f"values of {len(self)} cases"


def load_not_annotated(folder: Path, labels: Mapping[str, int]) -> ByCase[tuple[int, ...]]:
    """Labels not drawn, by case.

    Args:
        folder: Preprocessed dataset; without ``unannotated.json`` every class is drawn or absent.
        labels: Label by class name.
    """
    path = folder / NOT_ANNOTATED
    table = read_object(path) if path.is_file() else {}
    by_case: ByCase[tuple[int, ...]] = ByCase()
    for case, names in table.items():
        by_case[case] = tuple(sorted(labels[name] for name in names))
    return by_case


def on_both_sides(not_annotated: Mapping[str, Sequence[int]], partners: Sequence[int]) -> ByCase[tuple[int, ...]]:
    """Labels not annotated and their partners, by case: a mirrored patch shows them on the other side."""
    by_case: ByCase[tuple[int, ...]] = ByCase()
    for case, own in not_annotated.items():
        on_other_side = [partners[label] for label in own]
        by_case[case] = tuple(sorted(set(own).union(on_other_side)))
    return by_case


def not_annotated_mask(
    cases: Sequence[str], not_annotated: Mapping[str, Sequence[int]], num_classes: int, device: torch.device
) -> torch.Tensor | None:
    """(B, num_classes) bool, true where a class is not drawn in a case of the batch; None if all are."""
    if not any(case in not_annotated for case in cases):
        return None
    mask = torch.zeros(len(cases), num_classes, dtype=torch.bool)
    for row, case in enumerate(cases):
        mask[row, list(not_annotated.get(case, ()))] = True
    return mask.to(device)


def mask_summary(path: Path, not_annotated: Mapping[str, Sequence[int]], ending: str) -> dict[str, Any]:
    """Take classes that a case's reference does not show out of nnU-Net's ``summary.json``, in place.

    Args:
        path: The file; means are computed again, over the classes that any case knows.
        not_annotated: Labels by case.
        ending: File ending of the label files.

    Returns:
        The new summary.
    """
    summary = load_summary_json(str(path))
    for case in summary["metric_per_case"]:
        name = Path(case["reference_file"]).name.removesuffix(ending)
        for label in not_annotated.get(name, ()):
            case["metrics"][label] = dict.fromkeys(case["metrics"][label], float("nan"))
    for label, means in summary["mean"].items():
        for metric in means:
            means[metric] = _mean([case["metrics"][label][metric] for case in summary["metric_per_case"]])
    for metric in summary["foreground_mean"]:
        summary["foreground_mean"][metric] = _mean([means[metric] for means in summary["mean"].values()])
    save_summary_json(summary, str(path))
    return summary


def _mean(values: Sequence[float]) -> float:
    """Mean of the numbers among the values; NaN if there is none."""
    return float("nan") if np.isnan(values).all() else float(np.nanmean(values))
