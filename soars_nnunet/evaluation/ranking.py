"""Which of several methods is best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from soars_nnunet.evaluation.metrics import METRICS
from soars_nnunet.evaluation.organ_scores import MISSED, OrganScore
from soars_nnunet.evaluation.scores import Evaluation, known_values


def winners(aligned: Mapping[str, Evaluation], metric: str) -> dict[str, tuple[str, ...]]:
    """The best methods of every organ.

    Args:
        aligned: From ``align``.
        metric: One of ``METRICS``.

    Returns:
        Names of the methods of the best mean by organ; equal ones share the place. For distances the method that
        misses the organ in fewer cases is the better one whatever its distances; nobody where there is no value.
    """
    scores = {name: evaluation.by_organ() for name, evaluation in aligned.items()}
    first = next(iter(scores.values()), {})
    best: dict[str, tuple[str, ...]] = {}
    for organ in first:
        ranks = {name: _rank(metric, by_organ[organ]) for name, by_organ in scores.items()}
        unknown = not known_values(first[organ], metric) and len(set(ranks.values())) == 1
        if unknown:
            best[organ] = ()
            continue
        lowest = min(ranks.values())
        best[organ] = tuple(name for name, rank in ranks.items() if rank == lowest)
    return best


def best_positions(values: Sequence[float | None], higher_is_better: bool) -> list[int]:
    """Positions of the best of several values.

    Args:
        values: One a method; negative ones count by their size.
        higher_is_better: Else the smallest is the best.

    Returns:
        More than one where values are equal; none for a single method, or where no method has a value.
    """
    sizes = np.abs(np.array(values, dtype=float))  # None becomes NaN
    if len(sizes) < 2 or np.isnan(sizes).all():
        return []
    limit = np.nanmax(sizes) if higher_is_better else np.nanmin(sizes)
    found: list[int] = np.flatnonzero(sizes == limit).tolist()
    return found


def _rank(metric: str, scores: Sequence[OrganScore]) -> tuple[int, float]:
    """Sorts the better method first; without values only the misses count."""
    values = np.abs(known_values(scores, metric))
    mean = float(np.mean(values)) if values.size else 0.0
    if METRICS[metric].higher_is_better:
        return 0, -mean
    missed = sum(score.status == MISSED for score in scores)
    return missed, mean
