"""Reducing the evaluations of several methods to what all of them can be compared on.

Methods are compared on what all of them have: the cases of all, and for each organ and metric the cases
in which every method has a value. Organs that a method misses so count in DSC and surface DSC (0) and in the
volume error (-1), but no method's distances are averaged over easier cases than another's.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from soars_nnunet.errors import InputError
from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.metrics import METRICS, TARGET_METRICS, Metric
from soars_nnunet.evaluation.organ_scores import OrganScore
from soars_nnunet.evaluation.scores import Evaluation

logger = logging.getLogger(__name__)

SAME_REFERENCE = 0.01
"""Relative difference of an organ's reference volume above which two evaluations had other references."""

Key = tuple[str, str]
"""Case, and organ or target."""

Score = TypeVar("Score", OrganScore, TargetScore)


def align(methods: Mapping[str, Evaluation]) -> dict[str, Evaluation]:
    """Reduce evaluations to what all of them can be compared on.

    Args:
        methods: Evaluation by name of the method.

    Returns:
        The same with the common cases and organs only, in the first one's order; a score that one method
        lacks is None in all. Cases that are not common are logged.

    Raises:
        InputError: If there is no common case, the references differ, or empty organs were judged in two ways.
    """
    if len({evaluation.empty_means_absent for evaluation in methods.values()}) > 1:
        raise InputError(
            "expected methods evaluated alike, got --empty-means-absent with some of them only; evaluate again"
        )
    organs: dict[str, dict[Key, OrganScore]] = {}
    targets: dict[str, dict[Key, TargetScore]] = {}
    for name, evaluation in methods.items():
        organs[name] = {(score.case, score.organ): score for score in evaluation.scores}
        targets[name] = {(score.case, score.target): score for score in evaluation.targets}
    organ_keys = _common_keys(organs)
    target_keys = _common_keys(targets)
    common_cases = {case for case, _ in organ_keys + target_keys}
    if not common_cases:
        raise InputError("expected methods evaluated on the same cases, got none in common; compare like with like")
    _log_left_out(methods, common_cases)
    for key in organ_keys:
        _check_reference(key, organs)
    reduced_organs = _reduce(organs, organ_keys, METRICS)
    reduced_targets = _reduce(targets, target_keys, TARGET_METRICS)
    aligned = {}
    for name, evaluation in methods.items():
        scores = tuple(reduced_organs[name])
        aligned[name] = replace(evaluation, scores=scores, targets=tuple(reduced_targets[name]))
    return aligned


def _common_keys(tables: Mapping[str, Mapping[Key, Score]]) -> list[Key]:
    """Keys that all methods have, in the first one's order."""
    first, *others = tables.values()
    keys = list(first)
    for other in others:
        keys = [key for key in keys if key in other]
    return keys


def _reduce(
    tables: Mapping[str, Mapping[Key, Score]], keys: Sequence[Key], metrics: Mapping[str, Metric]
) -> dict[str, list[Score]]:
    """Scores of the common keys by method; a metric that one method lacks is None in all of them."""
    reduced: dict[str, list[Score]] = {name: [] for name in tables}
    for key in keys:
        lacking: dict[str, Any] = {}
        for metric in metrics:
            if any(getattr(table[key], metric) is None for table in tables.values()):
                lacking[metric] = None
        for name, table in tables.items():
            reduced[name].append(replace(table[key], **lacking))
    return reduced


def _check_reference(key: Key, tables: Mapping[str, Mapping[Key, OrganScore]]) -> None:
    """Refuse methods whose references of one organ differ in volume."""
    volumes_ml = {name: table[key].reference_ml for name, table in tables.items()}
    smallest, largest = min(volumes_ml.values()), max(volumes_ml.values())
    if largest - smallest <= SAME_REFERENCE * largest:
        return
    case, organ = key
    listed = ", ".join(f"{name} {ml:.3f} ml" for name, ml in volumes_ml.items())
    raise InputError(
        f"case '{case}', {organ}: expected one reference for all methods, got volumes of "
        f"{listed}; evaluate them against the same references"
    )


def _log_left_out(methods: Mapping[str, Evaluation], common: Collection[str]) -> None:
    for name, evaluation in methods.items():
        others = sorted(set(evaluation.cases()) - set(common))
        if others:
            logger.warning("%s: cases that not all methods have, left out: %s", name, ", ".join(others))
