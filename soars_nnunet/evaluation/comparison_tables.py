"""Tables of a comparison: who is best how often, and whether two methods differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from soars_nnunet.evaluation.mean_std import MISSING, format_number
from soars_nnunet.evaluation.metrics import METRICS, TARGET_METRICS
from soars_nnunet.evaluation.organ_table import TIER_NAMES
from soars_nnunet.evaluation.paired_tests import PairedRow
from soars_nnunet.evaluation.ranking import winners
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.evaluation.tables import Table, plain_head

GROUPS = {"tier": "tiers", "organ": "organs", "target": "detection targets"}
"""What is compared, in the order of the tables, and its plural."""

WINS_NOTE = "Organs of which a method has the best mean; equal methods both win. Fewer misses go before distances."

PAIRED_NOTE = (
    "Second minus first over the same cases; two-sided Wilcoxon signed-rank test, q after "
    "Benjamini-Hochberg within a metric; effect: matched-pairs rank-biserial correlation, positive "
    "where the second is better."
)


def comparison_tables(aligned: Mapping[str, Evaluation], pairs: Sequence[PairedRow]) -> list[Table]:
    """Wins per method and paired tests, after ``paper_tables``.

    Args:
        aligned: From ``align``.
        pairs: From ``paired_rows``.

    Returns:
        The wins if organs were scored; a table of tests for each of tiers, organs and targets that has any.
    """
    tables = []
    if any(evaluation.scores for evaluation in aligned.values()):
        tables.append(_wins_table(aligned))
    for group, plural in GROUPS.items():
        rows = tuple(_paired_cells(row) for row in pairs if row.group == group)
        if rows:
            head = plain_head(["compared", "metric", group, "n", "first", "second", "difference", "p", "q", "effect"])
            tables.append(Table(f"Paired comparison, {plural}", (head,), rows, notes=(PAIRED_NOTE,)))
    return tables


def _wins_table(aligned: Mapping[str, Evaluation]) -> Table:
    rows = {name: [name] for name in aligned}
    organs = 0
    for metric in METRICS:
        best = list(winners(aligned, metric).values())
        organs = len(best)
        for name, row in rows.items():
            wins = sum(name in methods for methods in best)
            row.append(str(wins))
    head = plain_head(["method", *(metric.title for metric in METRICS.values())])
    body = tuple(tuple(row) for row in rows.values())
    return Table(f"Wins out of {organs} organs", (head,), body, notes=(WINS_NOTE,))


def _paired_cells(row: PairedRow) -> tuple[str, ...]:
    metric = TARGET_METRICS[row.metric] if row.group == "target" else METRICS[row.metric]
    return (
        f"{row.second} - {row.first}",
        metric.title,
        TIER_NAMES.get(row.name, row.name),
        str(row.n),
        format_number(row.first_mean, metric.digits + 1),
        format_number(row.second_mean, metric.digits + 1),
        _signed(row.difference, metric.digits + 1),
        format_number(row.p, 3),
        format_number(row.q, 3),
        _signed(row.effect, 2),
    )


def _signed(value: float | None, digits: int) -> str:
    return MISSING if value is None else f"{value:+.{digits}f}"
