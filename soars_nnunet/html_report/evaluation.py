"""The page of an evaluation: tables, box plots per organ, worst cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from soars_nnunet.evaluation.mean_std import format_mean_std, format_number
from soars_nnunet.evaluation.organ_scores import MISSED, SCORED, OrganScore
from soars_nnunet.evaluation.scores import Evaluation, Summary, SummaryRow, known_values
from soars_nnunet.html_report.page import Cell, Markup, escape, facts, page, picture, section, table
from soars_nnunet.html_report.shown_metrics import ShownMetric, shown_metrics

WORST = 10
"""Rows of a table of worst cases."""

LEFT_OUT = {
    "unknown_in_prediction": "label names of the prediction that the profile does not know",
    "unknown_in_reference": "label names of the reference that the profile does not know",
    "not_predictable": "organs without a label in the prediction's list",
    "predictions_without_reference": "predictions without reference, left out",
    "references_without_prediction": "references without prediction, left out",
    "unusable": "cases that could not be scored",
}
"""What is said of the lists of an ``Evaluation`` that are not empty."""

COUNTS = {"missed": "missed", "not_in_reference": "not in reference", "extra": "extra"}
"""Title of each count of a ``SummaryRow``."""

SPREAD_NOTE = "Box: quartiles and median; whiskers: up to 1.5 times their distance; dots: cases beyond."
TIER_NOTE = "Mean ± standard deviation over organs of the organs' means; n is the number of organs averaged."


def evaluation_page(evaluation: Evaluation) -> str:
    """HTML of an evaluation.

    Args:
        evaluation: With the scores of at least one case.
    """
    metrics = shown_metrics(evaluation.metrics)
    tiers = _summary_table({"tier": "name"}, evaluation.per_tier(), metrics)
    organs = _summary_table({"organ": "name", "tier": "tier"}, evaluation.per_organ(), metrics)
    by_case = _case_table(evaluation, metrics)
    worst = [_worst_table(evaluation.scores, metric, metrics) for metric in metrics if metric.better]
    parts = [
        section("Evaluation", [_about(evaluation), *_warnings(evaluation)]),
        section("By tier", [tiers], note=TIER_NOTE),
        section("By organ", [organs], note="Mean ± standard deviation over cases."),
    ]
    targets = _target_table(evaluation)
    if targets:
        parts.append(section("Detection targets", [targets]))
    parts += [
        section("Spread", [_box_plots(evaluation, metrics)], note=SPREAD_NOTE),
        section("By case", [by_case], note="Mean over the case's organs, by the first column."),
        section("Worst cases", worst),
        section("Not scored", [_not_scored(evaluation.scores)]),
    ]
    name = Path(evaluation.prediction or "a prediction").name
    return page(f"Evaluation of {name}", parts)


def _about(evaluation: Evaluation) -> Markup:
    pairs: dict[str, Cell] = {
        "prediction": evaluation.prediction,
        "reference": evaluation.reference,
        "profile": evaluation.profile,
        "cases": len(evaluation.cases()),
        "organs": len(evaluation.by_organ()),
        "made with": f"soars_nnunet {evaluation.version}" if evaluation.version else None,
    }
    for name, text in LEFT_OUT.items():
        pairs[text] = ", ".join(getattr(evaluation, name))
    return facts(pairs)


def _warnings(evaluation: Evaluation) -> list[Markup]:
    return [Markup(f'<p class="warning">{escape(text)}</p>') for text in evaluation.warnings]


def _summary_table(leading: Mapping[str, str], rows: Sequence[SummaryRow], metrics: Sequence[ShownMetric]) -> Markup:
    """Summaries, a line a row; ``leading`` names the first columns and the field of each."""
    header = list(leading) + ["n"] + _titles(metrics) + list(COUNTS.values())
    body = []
    for row in rows:
        cells: list[Cell] = [getattr(row, field) for field in leading.values()]
        cells.append(row.summary(metrics[0].key).n)
        for metric in metrics:
            cells.append(_mean_std(row.summary(metric.key), metric))
        for count in COUNTS:
            cells.append(getattr(row, count))
        body.append(cells)
    return table(header, body)


def _target_table(evaluation: Evaluation) -> Markup | None:
    """Summaries of the detection targets, of the metrics that have a value; None without any."""
    rows = evaluation.per_target()
    metrics = shown_metrics(evaluation.measured_target_metrics())
    if not metrics:
        return None
    body = []
    for name, row in rows.items():
        cells: list[Cell] = [name]
        for metric in metrics:
            cells.append(_mean_std(row[metric.key], metric))
        body.append(cells)
    return table(["target"] + _titles(metrics), body)


def _box_plots(evaluation: Evaluation, metrics: Sequence[ShownMetric]) -> Markup:
    pictures = "".join(_box_plot(evaluation, metric) for metric in metrics)
    return Markup(f'<div class="plots">{pictures}</div>')


def _box_plot(evaluation: Evaluation, metric: ShownMetric) -> Markup:
    by_organ = evaluation.by_organ()
    names = list(by_organ)
    groups = [known_values(scores, metric.key) for scores in by_organ.values()]
    figure = Figure(figsize=(6.2, 0.9 + 0.22 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    axes.boxplot(groups, orientation="horizontal", widths=0.6, flierprops={"markersize": 3})
    axes.set_yticks(range(1, len(names) + 1))
    axes.set_yticklabels(names, fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_title(metric.title, fontsize=10, parse_math=False)
    if metric.better == "high":
        axes.set_xlim(-0.02, 1.02)
    return picture(figure, f"Box plots of {metric.title} for {len(names)} organs")


def _case_table(evaluation: Evaluation, metrics: Sequence[ShownMetric]) -> Markup:
    """Means over each case's organs, the worst case by the first metric first."""
    rows = []
    for case in evaluation.cases():
        scores = [score for score in evaluation.scores if score.case == case]
        cells: list[Cell] = [case]
        for metric in metrics:
            cells.append(_number(_mean(scores, metric), metric))
        cells.append(sum(score.status == MISSED for score in scores))
        badness = metrics[0].badness(_mean(scores, metrics[0]))
        rows.append((badness, cells))
    rows.sort(key=lambda row: -row[0])
    header = ["case"] + _titles(metrics) + ["missed"]
    return table(header, [cells for _, cells in rows])


def _worst_table(scores: Sequence[OrganScore], metric: ShownMetric, metrics: Sequence[ShownMetric]) -> Markup:
    """The organs of cases with the worst values of a metric."""
    known = [score for score in scores if getattr(score, metric.key) is not None]
    known.sort(key=lambda score: -metric.badness(getattr(score, metric.key)))
    shown = sorted(metrics, key=lambda other: other != metric)  # this one first
    body = []
    for score in known[:WORST]:
        cells: list[Cell] = [score.case, score.organ]
        for column in shown:
            cells.append(_number(getattr(score, column.key), column))
        cells.append(score.status)
        body.append(cells)
    header = ["case", "organ"] + _titles(shown) + ["status"]
    return table(header, body, f"Worst {metric.title}")


def _not_scored(scores: Sequence[OrganScore]) -> Markup:
    rows = []
    for score in scores:
        if score.status != SCORED:
            rows.append([score.case, score.organ, score.status.replace("_", " ")])
    if not rows:
        return Markup("<p>Every organ of every case was scored.</p>")
    return table(["case", "organ", "status"], rows)


def _titles(metrics: Sequence[ShownMetric]) -> list[str]:
    return [metric.title for metric in metrics]


def _mean(scores: Sequence[OrganScore], metric: ShownMetric) -> float | None:
    values = known_values(scores, metric.key)
    return float(np.mean(values)) if values else None


def _number(value: float | None, metric: ShownMetric) -> str | None:
    return None if value is None else format_number(value, metric.digits)


def _mean_std(summary: Summary, metric: ShownMetric) -> str | None:
    if summary.mean is None:
        return None
    return format_mean_std(summary.mean, summary.std, metric.digits)
