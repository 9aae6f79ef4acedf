import re

import pytest
from evaluation.paper_figures import paper_methods

from soars_nnunet.evaluation.comparison_tables import comparison_tables
from soars_nnunet.evaluation.paired_tests import paired_rows
from soars_nnunet.evaluation.paper_tables import paper_tables
from soars_nnunet.evaluation.tables import Heading, Table, plain_head, render


@pytest.fixture(scope="module")
def methods():
    return paper_methods()


def test_markdown_and_latex_are_well_formed(methods):
    tables = [*paper_tables(methods), *comparison_tables(methods, paired_rows(methods, "UaNet", "SOARS"))]
    texts = render(tables)
    for block in re.findall(r"(?:^\|.*\n)+", texts["md"], re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1
    assert "**0.876±0.014**" in texts["md"] and "| Optic Nerve Lt |" in texts["md"]
    for table in tables:
        latex = table.latex()
        columns = len(re.search(r"begin\{tabular\}\{(l?c*)\}", latex)[1])
        body = latex[latex.index(r"\toprule") : latex.index(r"\bottomrule")]
        lines = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert len(lines) == len(table.heads) + len(table.rows)
        for line in lines:
            spans = [int(n) for n in re.findall(r"\\multicolumn\{(\d+)\}", line)]
            assert len(re.split(r"(?<!\\)&", line)) + sum(spans) - len(spans) == columns
        assert latex.count(r"\begin{") == latex.count(r"\end{") == 2
        assert latex.count("{") - latex.count(r"\{") == latex.count("}") - latex.count(r"\}")
    assert r"\textbf{0.876$\pm$0.014}" in texts["tex"] and r"S\&H OARs" in texts["tex"] and "booktabs" in texts["tex"]


def test_names_cannot_break_a_table():
    table = Table("a", (plain_head(["m", "50%_of|x & {y}"]),), (("r~^\\", "1"),))
    assert table.markdown().splitlines()[2].count("|") == 4 and r"of\|x" in table.markdown()
    assert r"50\%\_of|x \& \{y\}" in table.latex()
    assert r"r\textasciitilde{}\textasciicircum{}\textbackslash{} & 1 \\" in table.latex()


def test_headings_are_joined_column_by_column():
    heads = ((Heading(""), Heading("Tier", 2)), plain_head(["method", "DSC", ""]))
    table = Table("t", heads, (("a", "1", "2"),), frozenset({(0, 2)}), ("note",))
    assert table.columns == 3
    lines = ["**t**", "", "| method | Tier DSC | Tier |", "|---|---|---|", "| a | 1 | **2** |", "", "note"]
    assert table.markdown().splitlines() == lines
    assert r"\multicolumn{2}{c}{Tier} \\" in table.latex()
