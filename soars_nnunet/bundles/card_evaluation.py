"""Tables of an evaluation in a model card: by organ the mean of each metric over the cases, with its 95 % interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from soars_nnunet.bundles.card import CardTable, Cell, Column, Estimate, Text
from soars_nnunet.cascade.case_names import patient_of
from soars_nnunet.cascade.target_facts import TargetFacts
from soars_nnunet.evaluation.organ_scores import FALSE_POSITIVE, MISSED, OrganScore
from soars_nnunet.evaluation.scores import Evaluation

SHOWN = {"dsc": 3, "hd95_mm": 1, "asd_mm": 2, "surface_dsc": 3}
"""Metrics of a card, and their decimals: DSC and surface DSC from 0 to 1, distances in mm."""

HEADINGS = {"dsc": "DSC", "hd95_mm": "HD95 mm", "asd_mm": "ASD mm", "surface_dsc": "surface DSC"}

RESAMPLES = 4000
"""Of the bootstrap; the ends of an interval then vary by about 1 % of its width (ours)."""

FEWEST_PATIENTS = 5
"""Below it a bootstrap's interval is far too narrow, and none is given (ours)."""

WEAK_BELOW = 0.7
"""Mean DSC below which an organ is named among the lowest scores (ours)."""

DETECTION = "detection"
"""Key of the table of detection targets."""

MAX_WEAK = 8
"""Organs that are named so."""


@dataclass(frozen=True)
class LabelledEvaluation:
    """An evaluation and what it is of.

    Attributes:
        key: Of its table in the JSON.
        title: Of its table.
        evaluation: Its scores.
        patient_pattern: Finds the patient in a case name; None if every case is a patient of its own.
        tolerances_mm: Of the surface DSC, by organ.
        notes: Sentences below the table.
    """

    key: str
    title: str
    evaluation: Evaluation
    patient_pattern: str | None
    tolerances_mm: Mapping[str, float | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def evaluation_table(labelled: LabelledEvaluation) -> CardTable:
    """Scores by organ, means with 95 % intervals.

    Args:
        labelled: Without scores the table has no rows.

    Returns:
        A row an organ that any case has to compare, in the profile's order, and one of the mean over organs.
    """
    columns = [Column("organ", "organ"), Column("cases", "cases"), Column("missed", "missed")]
    for metric, digits in SHOWN.items():
        columns.append(Column(metric, HEADINGS[metric], digits))
    columns += [Column("tolerance_mm", "its tolerance mm", 2), Column("false_positive", "false positives")]
    rows: list[tuple[Cell, ...]] = []
    means: dict[str, list[float]] = {metric: [] for metric in SHOWN}
    for organ, scores in labelled.evaluation.by_organ().items():
        compared = [score for score in scores if score.dsc is not None]
        if not compared:
            continue
        row: list[Cell] = [organ, len(compared), _count(scores, MISSED)]
        for metric in SHOWN:
            found = estimate(values_by_patient(scores, metric, labelled.patient_pattern))
            row.append(found)
            if found.mean is not None:
                means[metric].append(found.mean)
        row += [labelled.tolerances_mm.get(organ), _count(scores, FALSE_POSITIVE)]
        rows.append(tuple(row))
    if rows:
        rows.append(_mean_row(means, len(labelled.evaluation.cases())))
    return CardTable(labelled.key, labelled.title, tuple(columns), tuple(rows), notes=labelled.notes)


def _mean_row(means: Mapping[str, Sequence[float]], cases: int) -> tuple[Cell, ...]:
    row: list[Cell] = ["mean of the organs", cases, None]
    for values in means.values():
        row.append(Estimate(float(np.mean(values)) if values else None, None, None))
    row += [None, None]
    return tuple(row)


def _count(scores: Sequence[OrganScore], status: str) -> int:
    """How often an organ has a status."""
    return sum(score.status == status for score in scores)


def values_by_patient(scores: Sequence[OrganScore], metric: str, patient_pattern: str | None) -> dict[str, list[float]]:
    """Values of a metric by patient, of the cases that have one.

    Args:
        scores: Of one organ.
        metric: A field of ``OrganScore``.
        patient_pattern: Finds the patient in a case name; a name that it does not fit is a patient of its own.
    """
    values: dict[str, list[float]] = {}
    for score in scores:
        value = getattr(score, metric)
        if value is not None:
            patient = patient_of(score.case, patient_pattern) or score.case
            values.setdefault(patient, []).append(value)
    return values


def estimate(values: Mapping[str, Sequence[float]]) -> Estimate:
    """Mean over all cases, and its 95 % interval by the percentile bootstrap over patients.

    The same values give the same interval: the resampling is seeded.

    Args:
        values: By patient; the cases of a patient are drawn together.
    """
    if not values:
        return Estimate(None, None, None)
    sums = np.array([np.sum(of_patient) for of_patient in values.values()])
    counts = np.array([len(of_patient) for of_patient in values.values()])
    mean = float(sums.sum() / counts.sum())
    if len(values) < FEWEST_PATIENTS:
        return Estimate(mean, None, None)
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    resampled = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.percentile(resampled, (2.5, 97.5))
    return Estimate(mean, float(low), float(high))


def lowest_scores(table: CardTable) -> Text:
    """The organs of an evaluation's table that are segmented worst, a sentence each.

    Args:
        table: Of ``evaluation_table``.
    """
    weak: list[tuple[float, str]] = []
    for row in table.rows[:-1]:
        organ, cases, missed, dsc = row[:4]
        mean = dsc.mean if isinstance(dsc, Estimate) else None
        if mean is None or (mean >= WEAK_BELOW and not missed):
            continue
        text = f"{organ}: mean DSC {mean:.3f}"
        if missed:
            text += f", missed in {missed} of {cases} cases"
        weak.append((mean, text))
    if not weak:
        return f"no organ has a mean DSC below {WEAK_BELOW}, and none was missed"
    weak.sort()
    listed = [text for _, text in weak[:MAX_WEAK]]
    if len(weak) > MAX_WEAK:
        listed.append(f"and {len(weak) - MAX_WEAK} others; see section 4")
    return tuple(listed)


def detection_table(targets: Mapping[str, TargetFacts]) -> CardTable | None:
    """How well the heat maps find the small & hard organs, out of fold; None without targets."""
    if not targets:
        return None
    columns = (
        Column("target", "target"),
        Column("cases", "cases"),
        Column("missed", "missed"),
        Column("mean_error_mm", "mean distance mm", 1),
        Column("size_mm", "VOI (Z, Y, X) mm"),
    )
    rows = []
    for target, facts in targets.items():
        size = tuple(round(mm, 1) for mm in facts.size_mm)
        rows.append((target, facts.cases, facts.missed, facts.mean_error_mm, size))
    note = (
        "Distance of a heat map's peak from the target's centre. Missed: a VOI around the peak would hold too little "
        "of the target's organs."
    )
    return CardTable(DETECTION, "Detection of small & hard organs, out of fold", columns, tuple(rows), notes=(note,))
