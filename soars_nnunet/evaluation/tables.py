"""Tables of evaluations in the shape of the paper's, as Markdown and LaTeX.

Table 3: methods by tier. Table 4: methods by organ, for small profiles. Tables 5 and 6: organs by method.
Table 7: detection targets. DSC, surface DSC and volume errors are in %, distances in mm, spreads ± one standard
deviation (n - 1). In tables of several methods the best mean is bold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from soars_nnunet.evaluation.compare import HIGHER_IS_BETTER, PairedRow, winners
from soars_nnunet.evaluation.scores import METRICS, TARGET_METRICS, Evaluation, Summary
from soars_nnunet.profile import TIERS

UNITS = {
    "dsc": ("DSC", "%", 100.0),
    "hd_mm": ("HD", "mm", 1.0),
    "asd_mm": ("ASD", "mm", 1.0),
    "hd95_mm": ("HD95", "mm", 1.0),
    "surface_dsc": ("Surface DSC", "%", 100.0),
    "volume_error": ("Volume error", "%", 100.0),
    "distance_mm": ("Dist", "mm", 1.0),
    "detected_mm": ("Detected dist", "mm", 1.0),
}
"""Name, unit and factor of a metric in the tables."""

TARGET_NAMES = {**{m: UNITS[m][0] for m in ("distance_mm", "detected_mm")}, "hd_mm": "HD"}
TIER_NAMES = {"anchor": "Anchor OARs", "mid_level": "Mid-level OARs", "small_hard": "S&H OARs", "all": "All OARs"}

MOST_COLUMNS = 12
"""Organs up to which table 4, a column an organ, fits a page."""


@dataclass(frozen=True)
class Table:
    """A table before it is written.

    Attributes:
        title: Caption.
        heads: Rows of the heading: texts and the number of columns that each spans.
        rows: Cells; as many as the heading has columns.
        best: (row, column) of bold cells.
        notes: Sentences below the table.
    """

    title: str
    heads: tuple[tuple[tuple[str, int], ...], ...]
    rows: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]] = frozenset()
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Markdown; the rows of the heading are joined column by column."""
        spread = [[text for text, span in head for _ in range(span)] for head in self.heads]
        names = [" ".join(part for part in column if part) for column in zip(*spread, strict=True)]
        lines = [f"**{self.title}**", "", _markdown_row(names), "|---" * len(names) + "|"]
        for r, row in enumerate(self.rows):
            lines.append(_markdown_row([f"**{cell}**" if (r, c) in self.best else cell for c, cell in enumerate(row)]))
        return "\n".join([*lines, *(line for note in self.notes for line in ("", note))])

    def latex(self) -> str:
        r"""LaTeX table environment; needs ``\usepackage{booktabs}``."""
        lines = [
            r"\begin{table}[t]",
            r"\centering",
            rf"\caption{{{_latex(' '.join((self.title + '.', *self.notes)))}}}",
        ]
        columns = sum(span for _, span in self.heads[0])
        lines += [rf"\begin{{tabular}}{{l{'c' * (columns - 1)}}}", r"\toprule"]
        for head in self.heads:
            cells = [_latex(t) if n == 1 else rf"\multicolumn{{{n}}}{{c}}{{{_latex(t)}}}" for t, n in head]
            lines.append(" & ".join(cells) + r" \\")
        lines.append(r"\midrule")
        for r, row in enumerate(self.rows):
            cells = [rf"\textbf{{{_latex(t)}}}" if (r, c) in self.best else _latex(t) for c, t in enumerate(row)]
            lines.append(" & ".join(cells) + r" \\")
        return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"])


def render(tables: Sequence[Table]) -> dict[str, str]:
    """Texts of all tables by file ending, ``md`` and ``tex``."""
    start = "% needs \\usepackage{booktabs}\n\n"
    return {
        "md": "\n\n".join(table.markdown() for table in tables) + "\n",
        "tex": start + "\n\n".join(table.latex() for table in tables) + "\n",
    }


def organ_table(evaluation: Evaluation) -> Table:
    """All metrics of one evaluation, a row an organ, then a row a tier."""
    counts = ("missed", "not_in_reference", "extra")
    heads = ["organ", "n", *(f"{UNITS[m][0]} {UNITS[m][1]}" for m in METRICS), "missed", "no reference", "extra"]
    rows = []
    for row in (*evaluation.per_organ(), *evaluation.per_tier()):
        cells = [_mean_std(getattr(row, m), *_form(m)) for m in METRICS]
        rows.append(
            (TIER_NAMES.get(row.name, row.name), str(row.dsc.n), *cells, *(str(getattr(row, c)) for c in counts))
        )
    notes = (
        "n: cases, in the rows of tiers organs. Missed organs count as 0 in DSC and surface DSC and are left out of "
        "the distances. Extra: predicted where the reference has none"
        + (", which counts as DSC 0." if evaluation.empty_means_absent else "; left out, perhaps nobody drew it."),
    )
    title = "Scores by organ and tier, mean ± standard deviation"
    return Table(title, (tuple((head, 1) for head in heads),), tuple(rows), notes=notes)


def paper_tables(methods: Mapping[str, Evaluation]) -> list[Table]:
    """Tables 3 to 7 of one or more methods.

    Args:
        methods: Evaluation by method; several come from ``compare.align``. May hold targets only.

    Returns:
        Those tables for which there are scores.
    """
    first = next(iter(methods.values()))
    organs = list(dict.fromkeys(score.organ for score in first.scores))
    tables = []
    if organs:
        missed = _missed_note(methods)
        tables = [
            _tier_table(methods, ("dsc", "hd_mm", "asd_mm"), "Table 3: by tier", missed),
            _tier_table(methods, ("surface_dsc", "hd95_mm", "volume_error"), "Table 3, further metrics", missed),
        ]
        if len(organs) <= MOST_COLUMNS:
            tables.append(_wide_table(methods, organs))
        tables.append(_organ_table(methods, organs, "dsc", "Table 5: Dice score", ()))
        tables.append(_organ_table(methods, organs, "hd_mm", "Table 6: Hausdorff distance (maximum)", missed))
        for metric in ("hd95_mm", "asd_mm", "surface_dsc", "volume_error"):
            title = f"As table 6: {UNITS[metric][0]}"
            tables.append(_organ_table(methods, organs, metric, title, missed if metric.endswith("mm") else ()))
    if first.targets:
        tables.append(_target_table(methods))
    return tables


def comparison_tables(aligned: Mapping[str, Evaluation], pairs: Sequence[PairedRow]) -> list[Table]:
    """Wins per method and paired tests, after ``paper_tables``."""
    tables = []
    if any(evaluation.scores for evaluation in aligned.values()):
        by_metric = {metric: winners(aligned, metric) for metric in METRICS}
        counts = {
            m: {name: sum(name in best for best in organs.values()) for name in aligned}
            for m, organs in by_metric.items()
        }
        rows = tuple((name, *(str(counts[m][name]) for m in METRICS)) for name in aligned)
        head = (("method", 1), *((UNITS[m][0], 1) for m in METRICS))
        note = "Organs of which a method has the best mean; equal methods both win. Fewer misses go before distances."
        number = len(next(iter(by_metric.values())))
        tables.append(Table(f"Wins out of {number} organs", (head,), rows, notes=(note,)))
    for group, title in (("tier", "tiers"), ("organ", "organs"), ("target", "detection targets")):
        rows = tuple(_paired_cells(row) for row in pairs if row.group == group)
        if rows:
            heads = ("compared", "metric", group, "n", "first", "second", "difference", "p", "q", "effect")
            note = (
                "Second minus first over the same cases; two-sided Wilcoxon signed-rank test, q after "
                "Benjamini-Hochberg within a metric; effect: matched-pairs rank-biserial correlation, positive "
                "where the second is better."
            )
            tables.append(Table(f"Paired comparison, {title}", (tuple((h, 1) for h in heads),), rows, notes=(note,)))
    return tables


def _tier_table(methods: Mapping[str, Evaluation], metrics: Sequence[str], title: str, notes: tuple[str, ...]) -> Table:
    summaries = {name: {row.name: row for row in e.per_tier()} for name, e in methods.items()}
    tiers = [tier for tier in (*TIERS, "all") if tier in next(iter(summaries.values()))]
    columns = [(tier, metric) for tier in tiers for metric in metrics]
    values = [[getattr(rows[t], m).mean for t, m in columns] for rows in summaries.values()]
    cells = [[_number(v, *_form(m, 2)) for v, (_, m) in zip(row, columns, strict=True)] for row in values]
    best = _best_of_columns(values, [m for _, m in columns])
    heads = (
        (("", 1), *((TIER_NAMES[tier], len(metrics)) for tier in tiers)),
        (("", 1), *((f"{UNITS[m][0]} {UNITS[m][1]}", 1) for _, m in columns)),
    )
    body = tuple((name, *row) for name, row in zip(methods, cells, strict=True))
    return Table(title, heads, body, best, notes)


def _wide_table(methods: Mapping[str, Evaluation], organs: Sequence[str]) -> Table:
    """Table 4: a column an organ, sides of a pair under one heading."""
    names = [_paper_name(methods, organ) for organ in organs]
    groups: list[tuple[str, int]] = []
    sides = []
    for name in names:
        base, _, side = name.rpartition(" ") if re.search(r" (Lt|Rt)$", name) else (name, "", "")
        sides.append((side, 1))
        again = bool(groups) and bool(side) and groups[-1][0] == base
        groups[-1:] = [(base, groups[-1][1] + 1)] if again else [*groups[-1:], (base, 1)]
    rows, values = [], []
    for evaluation in methods.values():
        summaries = [row.dsc for row in evaluation.per_organ()]
        average = Summary.of([s.mean for s in summaries if s.mean is not None])
        rows.append([*(_mean_std(s, 1, 100.0) for s in summaries), _number(average.mean, 1, 100.0)])
        values.append([*(s.mean for s in summaries), average.mean])
    heads = ((("", 1), *groups, ("All OARs", 1)), (("", 1), *sides, ("", 1)))
    best = _best_of_columns(values, ["dsc"] * (len(organs) + 1))
    body = tuple((name, *row) for name, row in zip(methods, rows, strict=True))
    return Table("Table 4: Dice score (unit: %) by organ", heads, body, best)


def _organ_table(
    methods: Mapping[str, Evaluation], organs: Sequence[str], metric: str, title: str, notes: tuple[str, ...]
) -> Table:
    """Tables 5 and 6: a row an organ in the alphabetical order of the paper's names, then the average."""
    summaries = {name: {row.name: getattr(row, metric) for row in e.per_organ()} for name, e in methods.items()}
    averages = {name: e.per_tier()[-1] for name, e in methods.items()}
    best_methods = winners(methods, metric) if len(methods) > 1 else {}
    rows, best = [], set()
    for r, organ in enumerate(sorted(organs, key=lambda organ: _paper_name(methods, organ).casefold())):
        rows.append(
            (_paper_name(methods, organ), *(_mean_std(summaries[name][organ], *_form(metric)) for name in methods))
        )
        best |= {(r, c) for c, name in enumerate(methods, 1) if name in best_methods.get(organ, ())}
    means = [getattr(row, metric).mean for row in averages.values()]
    if len(methods) > 1:
        best |= {(len(rows), c) for _, c in _best_of_columns([[mean] for mean in means], [metric], transposed=True)}
    rows.append(("Average", *(_number(mean, *_form(metric)) for mean in means)))
    head = (("Organ", 1), *((name, 1) for name in methods))
    return Table(f"{title} (unit: {UNITS[metric][1]})", (head,), tuple(rows), frozenset(best), notes)


def _target_table(methods: Mapping[str, Evaluation]) -> Table:
    """Table 7: metrics that have a value, a column a method."""
    summaries = {name: e.per_target() for name, e in methods.items()}
    names = list(next(iter(summaries.values())))
    metrics = [m for m in TARGET_METRICS if any(row[m].n for rows in summaries.values() for row in rows.values())]
    columns = [(metric, name) for metric in metrics for name in methods]
    rows, best = [], set()
    for r, target in enumerate(names):
        found = [summaries[name][target][metric] for metric, name in columns]
        form: Callable[[Summary], str] = (lambda s: _number(s.mean, 1)) if target == "Average" else _mean_std
        rows.append((target, *(form(summary) for summary in found)))
        for start in range(0, len(columns), len(methods)) if len(methods) > 1 else ():
            values = [[summary.mean] for summary in found[start : start + len(methods)]]
            best |= {(r, start + c) for _, c in _best_of_columns(values, ["hd_mm"], transposed=True)}
    heads = (
        (("", 1), *((f"{TARGET_NAMES[m]} (mm)", len(methods)) for m in metrics)),
        (("Target", 1), *((name, 1) for _, name in columns)),
    )
    note = (
        "Dist: from the centre of mass of the segmented target to the reference's; detected dist: from the centre that "
        "the detection branch found; HD: of the 1000 brightest voxels of the heat maps."
    )
    return Table("Table 7: detection targets", heads, tuple(rows), frozenset(best), (note,))


def _best_of_columns(
    values: Sequence[Sequence[float | None]], metrics: Sequence[str], transposed: bool = False
) -> frozenset[tuple[int, int]]:
    """(row, column + 1) of the best value of each column; (0, row + 1) if transposed; nothing for one row."""
    best = set()
    for c, metric in enumerate(metrics):
        column = [row[c] for row in values]
        known = [abs(v) for v in column if v is not None]
        if len(values) > 1 and known:
            limit = max(known) if metric in HIGHER_IS_BETTER else min(known)
            found = [r for r, v in enumerate(column) if v is not None and abs(v) == limit]
            best |= {(0, r + 1) if transposed else (r, c + 1) for r in found}
    return frozenset(best)


def _missed_note(methods: Mapping[str, Evaluation]) -> tuple[str, ...]:
    counts = {name: {row.name: row.missed for row in e.per_organ() if row.missed} for name, e in methods.items()}
    texts = [
        f"{name} {', '.join(f'{organ} ({n})' for organ, n in organs.items())}"
        for name, organs in counts.items()
        if organs
    ]
    return (f"Left out of the distances because not predicted (cases): {'; '.join(texts)}.",) if texts else ()


def _paper_name(methods: Mapping[str, Evaluation], organ: str) -> str:
    return next((name for e in methods.values() if (name := e.paper_names.get(organ))), organ)


def _paired_cells(row: PairedRow) -> tuple[str, ...]:
    digits, scale = _form(row.metric, 2)
    values = [_number(value, digits, scale) for value in (row.first_mean, row.second_mean)]
    signed = f"{row.difference * scale:+.{digits}f}" if row.difference is not None else "-"
    tests = [_number(value, 3) for value in (row.p, row.q)]
    name = TARGET_NAMES[row.metric] if row.group == "target" else UNITS[row.metric][0]
    effect = "-" if row.effect is None else f"{row.effect:+.2f}"
    return (
        f"{row.second} - {row.first}",
        name,
        TIER_NAMES.get(row.name, row.name),
        str(row.n),
        *values,
        signed,
        *tests,
        effect,
    )


def _form(metric: str, digits: int = 1) -> tuple[int, float]:
    return digits, UNITS[metric][2]


def _number(value: float | None, digits: int = 1, scale: float = 1.0) -> str:
    return "-" if value is None else f"{value * scale:.{digits}f}"


def _mean_std(summary: Summary, digits: int = 1, scale: float = 1.0) -> str:
    spread = "" if summary.std is None else f"±{summary.std * scale:.{digits}f}"
    return _number(summary.mean, digits, scale) + spread


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _latex(text: str) -> str:
    text = re.sub(r"[\\{}$&#%_~^]", lambda m: _LATEX.get(m[0], "\\" + m[0]), text)
    return text.replace("±", r"$\pm$")


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
