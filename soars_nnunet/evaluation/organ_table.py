"""All metrics of one evaluation, a row an organ, then a row a tier: for the terminal and for files."""

from __future__ import annotations

from collections.abc import Sequence

from soars_nnunet.evaluation.mean_std import format_mean_std
from soars_nnunet.evaluation.metrics import METRICS
from soars_nnunet.evaluation.scores import Evaluation, Summary, SummaryRow
from soars_nnunet.evaluation.tables import Table, plain_head

TIER_NAMES = {"anchor": "Anchor OARs", "mid_level": "Mid-level OARs", "small_hard": "S&H OARs", "all": "All OARs"}
"""The paper's headings of the tiers."""

PLAIN_HEAD = ("organ", "n", "DSC", "HD mm", "ASD mm", "HD95 mm", "surf. DSC", "vol. err.", "missed", "no ref.", "extra")


def organ_table(evaluation: Evaluation) -> Table:
    """All metrics of one evaluation as a table.

    Args:
        evaluation: Its scores; without any the table has no rows.

    Returns:
        A row an organ, then a row a tier. ``n`` is the number of cases, in the rows of tiers of organs.
    """
    headings = [metric.heading for metric in METRICS.values()]
    head = plain_head(["organ", "n", *headings, "missed", "no reference", "extra"])
    rows = []
    for row in evaluation.per_organ() + evaluation.per_tier():
        cells = [TIER_NAMES.get(row.name, row.name), str(row.dsc.n)]
        for key, metric in METRICS.items():
            cells.append(summary_cell(row.summary(key), metric.digits))
        cells += _counts(row)
        rows.append(tuple(cells))
    extra = ", which counts as DSC 0." if evaluation.empty_means_absent else "; left out, perhaps nobody drew it."
    note = (
        "n: cases, in the rows of tiers organs. Missed organs count as 0 in DSC and surface DSC and are left out of "
        f"the distances. Extra: predicted where the reference has none{extra}"
    )
    return Table("Scores by organ and tier, mean ± standard deviation", (head,), tuple(rows), notes=(note,))


def summary_cell(summary: Summary, digits: int) -> str:
    """Mean and standard deviation as the paper's tables have them, without spaces."""
    return format_mean_std(summary.mean, summary.std, digits, sign="±")


def format_table(evaluation: Evaluation) -> str:
    """Plain-text table: a row an organ, a rule, a row a tier; only the header without scores.

    ``n`` is the number of cases (organs in the tiers' rows) in the mean DSC.
    """
    organs = [_plain_cells(row) for row in evaluation.per_organ()]
    tiers = [_plain_cells(row) for row in evaluation.per_tier()]
    widths = _widths([PLAIN_HEAD, *organs, *tiers])
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [_aligned(PLAIN_HEAD, widths), rule]
    for row in organs:
        lines.append(_aligned(row, widths))
    lines.append(rule)
    for row in tiers:
        lines.append(_aligned(row, widths))
    return "\n".join(lines)


def _plain_cells(row: SummaryRow) -> list[str]:
    cells = [
        row.name,
        str(row.dsc.n),
        format_mean_std(row.dsc.mean, row.dsc.std, 3),
        format_mean_std(row.hd_mm.mean, row.hd_mm.std, 2),
        format_mean_std(row.asd_mm.mean, row.asd_mm.std, 2),
        format_mean_std(row.hd95_mm.mean, row.hd95_mm.std, 2),
        format_mean_std(row.surface_dsc.mean, row.surface_dsc.std, 3),
        format_mean_std(row.volume_error.mean, row.volume_error.std, 3),
    ]
    return cells + _counts(row)


def _counts(row: SummaryRow) -> list[str]:
    return [str(row.missed), str(row.not_in_reference), str(row.extra)]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Largest number of characters of each column."""
    widths = [0] * len(rows[0])
    for row in rows:
        for column, cell in enumerate(row):
            widths[column] = max(widths[column], len(cell))
    return widths


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    """The first column to the left, the others to the right."""
    cells = [row[0].ljust(widths[0])]
    for cell, width in zip(row[1:], widths[1:], strict=True):
        cells.append(cell.rjust(width))
    return "  ".join(cells).rstrip()
