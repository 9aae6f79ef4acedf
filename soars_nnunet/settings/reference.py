"""``docs/reference/settings.md`` as text, made from the fields' rules, the regimes and the paper's numbers."""

from __future__ import annotations

import json
from typing import Any

from soars_nnunet.paper import paper_values
from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.regime_settings import OF_FINE_TUNING, RegimeSettings
from soars_nnunet.settings.rule import Rule, rules
from soars_nnunet.settings.table import regimes

INTRODUCTION = """\
# Settings

<!-- Written by scripts/write_reference.py from soars_nnunet/settings and plans/. Do not edit by hand. -->

A regime names a value for each setting ([regimes.json](../../plans/regimes.json)). `soars-plan --regime NAME` chooses
the regime, `--set KEY=VALUE` or `--set BRANCH.KEY=VALUE` changes a value. The values of a branch travel in its plans.

**Stated by** says whose the value of regime `paper` is: the paper's, or ours where it is silent. A value in brackets
holds for that branch alone, or for a start from a bundle (`from_bundle`).
"""


def settings_markdown() -> str:
    """The whole page, with the end of its last line."""
    known = dict(rules(RegimeSettings))
    of_branches: dict[str, Rule] = {}
    of_fine_tuning: dict[str, Rule] = {}
    for name, rule in known.items():
        if name == "regime":
            continue
        part = of_fine_tuning if name in OF_FINE_TUNING else of_branches
        part[name] = rule
    planned = {}
    for name, rule in rules(BranchSettings):
        if name not in known or name == "regime":
            planned[name] = rule
    sections = [
        INTRODUCTION,
        "## Values of a regime\n",
        _regime_table(of_branches),
        "\n## Fine-tuning of the whole cascade\n",
        _regime_table(of_fine_tuning),
        "\n## Written by `soars-plan`\n\nThey stand beside the values of the regime, and nobody sets them.\n",
        _planned_table(planned),
        "\n## Other numbers of the paper\n\nFrom [paper.json](../../plans/paper.json).\n",
        _paper_table(),
    ]
    return "\n".join(sections) + "\n"


def _regime_table(of: dict[str, Rule]) -> str:
    names = list(regimes())
    rows = [["setting", "meaning", "unit", "takes", *names, "stated by"]]
    for key, rule in of.items():
        row = [f"`{key}`", rule.meaning, rule.unit, _takes(rule)]
        for name in names:
            row.append(_values(name, key))
        row.append(rule.source)
        rows.append(row)
    return _table(rows)


def _planned_table(of: dict[str, Rule]) -> str:
    rows = [["setting", "meaning", "unit", "null means"]]
    for key, rule in of.items():
        rows.append([f"`{key}`", rule.meaning, rule.unit, rule.null])
    return _table(rows)


def _paper_table() -> str:
    rows = [["name", "value", "unit", "section", "meaning"]]
    for name, stated in paper_values().items():
        rows.append([f"`{name}`", _text(stated.value), stated.unit, stated.section, stated.meaning])
    return _table(rows)


def _takes(rule: Rule) -> str:
    if not rule.null:
        return str(rule.values)
    return f"{rule.values}; null: {rule.null}"


def _values(regime: str, key: str) -> str:
    """The value of a regime, and those of branches that differ."""
    parts: dict[str, Any] = regimes()[regime]
    texts = []
    if key in parts["all"]:
        texts.append(_text(parts["all"][key]))
    for branch, own in parts.items():
        if branch == "all" or not isinstance(own, dict) or key not in own:
            continue
        if key in OF_FINE_TUNING:
            texts.append(_text(own[key]))
        elif own[key] != parts["all"][key]:
            texts.append(f"({branch}: {_text(own[key])})")
    return " ".join(texts)


def _text(value: Any) -> str:
    return json.dumps(value)


def _table(rows: list[list[str]]) -> str:
    """A Markdown table; the first row is its head."""
    lines = []
    for row in rows:
        cells = [cell.replace("|", r"\|") for cell in row]
        lines.append(f"| {' | '.join(cells)} |")
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)
