"""The page of an evaluation: tables, box plots per organ, worst cases. Metrics are whatever the JSON holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from soars_nnunet.cascade.storage import read_json
from soars_nnunet.errors import InputError
from soars_nnunet.html_report.page import Markup, facts, page, picture, section, settings, table

WORST = 10
"""Rows of a table of worst cases."""

LISTS = {
    "unknown_in_prediction": "label names of the prediction that the profile does not know",
    "unknown_in_reference": "label names of the reference that the profile does not know",
    "not_predictable": "organs without a label in the prediction's list",
    "predictions_without_reference": "predictions without reference, left out",
    "references_without_prediction": "references without prediction, left out",
}


def read_evaluation_json(path: Path) -> dict[str, Any]:
    """Read what ``soars-evaluate`` wrote.

    Args:
        path: ``evaluation.json``, or the folder that holds it.

    Raises:
        InputError: If it is absent or something else.
    """
    path = path / "evaluation.json" if path.is_dir() else path
    data = read_json(path)
    rows = [data.get(key) if isinstance(data, dict) else None for key in ("scores", "per_organ", "per_tier")]
    if not all(isinstance(part, list) and all(isinstance(row, dict) for row in part) for part in rows) or not (
        all({"case", "organ", "status"} <= set(row) for row in rows[0])
        and all({"name", "tier"} <= set(row) for row in (*rows[1], *rows[2]))
    ):
        raise InputError(
            f"-e {path}: expected the evaluation.json of soars-evaluate (scores, per_organ, per_tier), got another "
            "JSON file; name that file"
        )
    if not rows[0]:
        raise InputError(f"-e {path}: expected scores of at least one case, got none; run soars-evaluate on a case")
    return data


def evaluation_page(data: dict[str, Any]) -> str:
    """HTML of an evaluation (see ``read_evaluation_json``)."""
    scores, organs, tiers = data["scores"], data["per_organ"], data["per_tier"]
    metrics = [key for key, value in organs[0].items() if _is_summary(value)]
    cases = list(dict.fromkeys(score["case"] for score in scores))
    about = facts(
        {
            "prediction": data.get("prediction"),
            "reference": data.get("reference"),
            "profile": data.get("profile"),
            "cases": len(cases),
            "organs": len(organs),
            "made with": " ".join(map(str, (data.get("provenance") or {}).values())),
            **{text: ", ".join(map(str, data[key])) for key, text in LISTS.items() if data.get(key)},
        }
    )
    plots = Markup(f'<div class="plots">{"".join(_box_plot(scores, organs, metric) for metric in metrics)}</div>')
    spread = "Mean ± standard deviation over organs of the organs' means; n is the number of organs averaged."
    parts = [
        section("Evaluation", about),
        section("By tier", _summary_table("tier", tiers, metrics), note=spread),
        section("By organ", _summary_table("organ", organs, metrics), note="Mean ± standard deviation over cases."),
        *_targets(data),
        section(
            "Spread",
            plots,
            note="Box: quartiles and median; whiskers: up to 1.5 times their distance; dots: cases beyond.",
        ),
        section(
            "By case", _case_table(scores, cases, metrics), note="Mean over the case's organs, by the first column."
        ),
        section("Worst cases", *(_worst(scores, metric, metrics) for metric in metrics if _better(metric))),
        section("Not scored", _not_scored(scores)),
    ]
    return page(f"Evaluation of {Path(str(data.get('prediction') or 'a prediction')).name}", parts)


def _is_summary(value: Any) -> bool:
    return isinstance(value, dict) and {"n", "mean"} <= set(value)


def _title(metric: str) -> str:
    known = settings()["metrics"].get(metric)
    if known:
        return known["title"]
    stem, _, unit = metric.rpartition("_")
    return f"{stem.replace('_', ' ')}, {unit}" if unit in ("mm", "ml") and stem else metric.replace("_", " ")


def _better(metric: str) -> str | None:
    """Which values of a metric are good: ``"high"``, ``"low"``, ``"zero"``, or None where nobody said."""
    known = settings()["metrics"].get(metric)
    return known["better"] if known else ("low" if metric.endswith("_mm") else None)


def _badness(value: float, metric: str) -> float:
    return {"high": -value, "low": value, "zero": abs(value)}.get(_better(metric) or "", 0.0)


def _digits(metric: str) -> int:
    return 2 if metric.endswith(("_mm", "_ml")) else 3


def _number(value: float | None, metric: str) -> str | None:
    return None if value is None else f"{value:.{_digits(metric)}f}"


def _mean_std(summary: dict[str, Any] | None, metric: str) -> str | None:
    mean = _number(summary and summary["mean"], metric)
    std = _number(summary and summary.get("std"), metric)
    return f"{mean} ± {std}" if mean and std else mean


def _summary_table(kind: str, rows: Sequence[dict[str, Any]], metrics: Sequence[str]) -> Markup:
    counts = [key for key, value in rows[0].items() if type(value) is int] if rows else []
    header = [
        kind,
        *(["tier"] if kind == "organ" else []),
        "n",
        *map(_title, metrics),
        *(_title(key) for key in counts),
    ]
    body = [
        [
            row["name"],
            *([row["tier"]] if kind == "organ" else []),
            row[metrics[0]]["n"] if metrics else None,
            *(_mean_std(row.get(metric), metric) for metric in metrics),
            *(row.get(key) for key in counts),
        ]
        for row in rows
    ]
    return table(header, body)


def _targets(data: dict[str, Any]) -> list[Markup]:
    """Section of the detection targets, if the evaluation has any."""
    rows = {name: row for name, row in (data.get("per_target") or {}).items() if isinstance(row, dict)}
    metrics = list(dict.fromkeys(key for row in rows.values() for key, value in row.items() if _is_summary(value)))
    metrics = [key for key in metrics if any(row.get(key, {}).get("mean") is not None for row in rows.values())]
    if not metrics:
        return []
    body = [[name, *(_mean_std(row.get(metric), metric) for metric in metrics)] for name, row in rows.items()]
    return [section("Detection targets", table(["target", *map(_title, metrics)], body))]


def _values(scores: Sequence[dict[str, Any]], metric: str) -> list[float]:
    return [score[metric] for score in scores if score.get(metric) is not None]


def _box_plot(scores: Sequence[dict[str, Any]], organs: Sequence[dict[str, Any]], metric: str) -> Markup:
    names = [row["name"] for row in organs]
    groups = [_values([score for score in scores if score["organ"] == name], metric) for name in names]
    figure = Figure(figsize=(6.2, 0.9 + 0.22 * len(names)), layout="constrained")
    axes = figure.add_subplot()
    axes.boxplot(groups, orientation="horizontal", widths=0.6, flierprops={"markersize": 3})
    axes.set_yticks(range(1, len(names) + 1))
    axes.set_yticklabels(names, fontsize=8, parse_math=False)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_title(_title(metric), fontsize=10, parse_math=False)
    if _better(metric) == "high":
        axes.set_xlim(-0.02, 1.02)
    return picture(figure, f"Box plots of {_title(metric)} for {len(names)} organs")


def _case_table(scores: Sequence[dict[str, Any]], cases: Sequence[str], metrics: Sequence[str]) -> Markup:
    rows = []
    for case in cases:
        own = [score for score in scores if score["case"] == case]
        values = [_values(own, metric) for metric in metrics]
        means = [float(np.mean(v)) if v else None for v in values]
        missed = sum(score["status"] == "missed" for score in own)
        rows.append((means, [case, *map(_number, means, metrics), missed]))
    if metrics:
        rows.sort(key=lambda row: -np.inf if row[0][0] is None else -_badness(row[0][0], metrics[0]))
    return table(["case", *map(_title, metrics), "missed"], [cells for _, cells in rows])


def _worst(scores: Sequence[dict[str, Any]], metric: str, metrics: Sequence[str]) -> Markup:
    known = [score for score in scores if score.get(metric) is not None]
    known.sort(key=lambda score: -_badness(score[metric], metric))
    others = [other for other in metrics if other != metric]
    body = [
        [score["case"], score["organ"], *(_number(score.get(m), m) for m in (metric, *others)), score["status"]]
        for score in known[:WORST]
    ]
    return table(["case", "organ", *map(_title, (metric, *others)), "status"], body, f"Worst {_title(metric)}")


def _not_scored(scores: Sequence[dict[str, Any]]) -> Markup:
    rows = [[score["case"], score["organ"], score["status"].replace("_", " ")] for score in scores]
    rows = [row for row, score in zip(rows, scores, strict=True) if score["status"] != "scored"]
    return table(["case", "organ", "status"], rows) if rows else Markup("<p>Every organ of every case was scored.</p>")
