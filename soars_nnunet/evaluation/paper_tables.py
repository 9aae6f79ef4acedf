"""Tables of one or more methods in the shape of the paper's.

Table 3: methods by tier. Table 4: methods by organ, for small profiles. Tables 5 and 6: organs by method.
Table 7: detection targets. DSC, surface DSC and volume errors are in %, distances in mm, spreads ± one standard
deviation (n - 1). In tables of several methods the best mean is bold.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from soars_nnunet.evaluation.mean_std import format_mean_std
from soars_nnunet.evaluation.metrics import METRICS, TARGET_METRICS, Metric
from soars_nnunet.evaluation.organ_table import TIER_NAMES
from soars_nnunet.evaluation.ranking import best_positions, winners
from soars_nnunet.evaluation.scores import AVERAGE, Evaluation, Summary, SummaryRow
from soars_nnunet.evaluation.tables import Heading, Table, plain_head
from soars_nnunet.profile import TIERS

MOST_COLUMNS = 12
"""Organs up to which table 4, a column an organ, fits a page."""

TIER_METRICS = {
    "Table 3: by tier": ("dsc", "hd_mm", "asd_mm"),
    "Table 3, further metrics": ("surface_dsc", "hd95_mm", "volume_error"),
}
"""Metrics of the tables by tier."""

ORGAN_METRICS = {
    "Table 5: Dice score": "dsc",
    "Table 6: Hausdorff distance (maximum)": "hd_mm",
    "As table 6: HD95": "hd95_mm",
    "As table 6: ASD": "asd_mm",
    "As table 6: Surface DSC": "surface_dsc",
    "As table 6: Volume error": "volume_error",
}
"""Metric of each table by organ."""

TARGET_NOTE = (
    "Dist: from the centre of mass of the segmented target to the reference's; detected dist: from the centre that "
    "the detection branch found; HD: of the 1000 brightest voxels of the heat maps."
)

Methods = Mapping[str, Evaluation]
"""Evaluation by name of the method."""


@dataclass(frozen=True)
class _Compared:
    """One quantity of all methods.

    Attributes:
        texts: A cell a method.
        best: Positions of the best methods.
    """

    texts: list[str]
    best: list[int]


def paper_tables(methods: Methods) -> list[Table]:
    """Tables 3 to 7 of one or more methods.

    Args:
        methods: Evaluation by method; several come from ``align``. May hold targets only.

    Returns:
        Those tables for which there are scores.
    """
    first = next(iter(methods.values()))
    organs = list(first.by_organ())
    tables = []
    if organs:
        missed = _missed_note(methods)
        for title, metrics in TIER_METRICS.items():
            tables.append(_tier_table(methods, metrics, title, missed))
        if len(organs) <= MOST_COLUMNS:
            tables.append(_wide_table(methods, organs))
        for title, metric in ORGAN_METRICS.items():
            notes = missed if metric.endswith("_mm") else []
            tables.append(_organ_rows_table(methods, organs, metric, title=title, notes=notes))
    if first.targets:
        tables.append(_target_table(methods))
    return tables


def _tier_table(methods: Methods, metrics: Sequence[str], title: str, notes: Sequence[str]) -> Table:
    """Table 3: a row a method; the metrics of each tier side by side."""
    rows_by_method = _rows_by_method(methods)
    above, below = [Heading("")], [Heading("")]
    columns = []
    for tier in (*TIERS, "all"):
        if tier not in rows_by_method[0]:
            continue
        above.append(Heading(TIER_NAMES[tier], len(metrics)))
        for key in metrics:
            below.append(Heading(METRICS[key].heading))
            columns.append(_compare_rows(rows_by_method, tier, key, finer=True, spread=False))
    return _methods_as_rows(title, (tuple(above), tuple(below)), methods, columns, notes=notes)


def _wide_table(methods: Methods, organs: Sequence[str]) -> Table:
    """Table 4: a column an organ, sides of a pair under one heading."""
    rows_by_method = _rows_by_method(methods)
    columns = [_compare_rows(rows_by_method, organ, "dsc") for organ in organs]
    columns.append(_compare_rows(rows_by_method, "all", "dsc", spread=False))
    above, below = _pair_headings([_paper_name(methods, organ) for organ in organs])
    heads = (
        (Heading(""), *above, Heading("All OARs")),
        (Heading(""), *below, Heading("")),
    )
    return _methods_as_rows(f"Table 4: Dice score ({METRICS['dsc'].in_words}) by organ", heads, methods, columns)


def _organ_rows_table(methods: Methods, organs: Sequence[str], key: str, *, title: str, notes: Sequence[str]) -> Table:
    """Tables 5 and 6: a row an organ in the alphabetical order of the paper's names, then the average."""
    rows_by_method = _rows_by_method(methods)
    best_methods = winners(methods, key) if len(methods) > 1 else {}
    rows = []
    best = set()
    for number, organ in enumerate(sorted(organs, key=lambda organ: _paper_name(methods, organ).casefold())):
        compared = _compare_rows(rows_by_method, organ, key)
        rows.append((_paper_name(methods, organ), *compared.texts))
        for column, name in enumerate(methods, 1):
            if name in best_methods.get(organ, ()):
                best.add((number, column))
    average = _compare_rows(rows_by_method, "all", key, spread=False)
    for position in average.best:
        best.add((len(rows), position + 1))
    rows.append((AVERAGE, *average.texts))
    head = plain_head(["Organ", *methods])
    return Table(f"{title} ({METRICS[key].in_words})", (head,), tuple(rows), frozenset(best), tuple(notes))


def _target_table(methods: Methods) -> Table:
    """Table 7: metrics that have a value, a column a method."""
    by_method = [evaluation.per_target() for evaluation in methods.values()]
    keys = _measured_metrics(methods)
    rows = []
    best = set()
    for number, target in enumerate(by_method[0]):
        row = [target]
        for key in keys:
            summaries = [by_target[target][key] for by_target in by_method]
            compared = _compare(summaries, TARGET_METRICS[key], spread=target != AVERAGE)
            for position in compared.best:
                best.add((number, len(row) + position))
            row += compared.texts
        rows.append(tuple(row))
    above, below = [Heading("")], ["Target"]
    for key in keys:
        above.append(Heading(f"{TARGET_METRICS[key].title} (mm)", len(methods)))
        below += methods
    heads = (tuple(above), plain_head(below))
    return Table("Table 7: detection targets", heads, tuple(rows), frozenset(best), (TARGET_NOTE,))


def _measured_metrics(methods: Methods) -> list[str]:
    """Those of ``TARGET_METRICS`` that any method has a value of."""
    measured = set()
    for evaluation in methods.values():
        measured.update(evaluation.measured_target_metrics())
    return [key for key in TARGET_METRICS if key in measured]


def _rows_by_method(methods: Methods) -> list[dict[str, SummaryRow]]:
    """Rows of each method by name: organs, tiers and ``"all"``."""
    found = []
    for evaluation in methods.values():
        rows = evaluation.per_organ() + evaluation.per_tier()
        found.append({row.name: row for row in rows})
    return found


def _compare_rows(
    rows_by_method: Sequence[Mapping[str, SummaryRow]], name: str, key: str, *, finer: bool = False, spread: bool = True
) -> _Compared:
    """Compare methods in one metric of an organ or tier."""
    summaries = [rows[name].summary(key) for rows in rows_by_method]
    return _compare(summaries, METRICS[key], finer, spread)


def _compare(summaries: Sequence[Summary], metric: Metric, finer: bool = False, spread: bool = True) -> _Compared:
    """Cells of one quantity, one a method, and the best by the mean.

    Args:
        summaries: One a method.
        metric: Of them.
        finer: One more decimal.
        spread: With standard deviations.
    """
    texts = []
    means = []
    for summary in summaries:
        std = summary.std if spread else None
        texts.append(format_mean_std(summary.mean, std, metric.digits + finer, sign="±"))
        means.append(summary.mean)
    return _Compared(texts, best_positions(means, metric.higher_is_better))


def _methods_as_rows(
    title: str,
    heads: tuple[tuple[Heading, ...], ...],
    methods: Methods,
    columns: Sequence[_Compared],
    *,
    notes: Sequence[str] = (),
) -> Table:
    """A table with a row a method and a column a quantity."""
    rows = [[name] for name in methods]
    best = set()
    for number, column in enumerate(columns, 1):
        for row, text in zip(rows, column.texts, strict=True):
            row.append(text)
        for position in column.best:
            best.add((position, number))
    body = tuple(tuple(row) for row in rows)
    return Table(title, heads, body, frozenset(best), tuple(notes))


def _pair_headings(names: Sequence[str]) -> tuple[list[Heading], list[Heading]]:
    """Headings of organs: above the name, which neighbours that differ in side share; below the side, if any."""
    above: list[Heading] = []
    below = []
    for name in names:
        base, side = _split_side(name)
        below.append(Heading(side))
        if above and side and above[-1].text == base:
            above[-1] = Heading(base, above[-1].span + 1)
        else:
            above.append(Heading(base))
    return above, below


def _split_side(name: str) -> tuple[str, str]:
    """Name without the side, and the side: ``Lt``, ``Rt`` or nothing."""
    if not re.search(r" (Lt|Rt)$", name):
        return name, ""
    base, _, side = name.rpartition(" ")
    return base, side


def _missed_note(methods: Methods) -> list[str]:
    """A sentence on the organs that methods missed; none if there are none."""
    texts = []
    for name, evaluation in methods.items():
        missed = [f"{row.name} ({row.missed})" for row in evaluation.per_organ() if row.missed]
        if missed:
            texts.append(f"{name} {', '.join(missed)}")
    if not texts:
        return []
    return [f"Left out of the distances because not predicted (cases): {'; '.join(texts)}."]


def _paper_name(methods: Methods, organ: str) -> str:
    """The paper's name of an organ, as the first method that has one says."""
    for evaluation in methods.values():
        name = evaluation.paper_names.get(organ)
        if name:
            return name
    return organ
