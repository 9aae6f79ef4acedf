"""The paper's own figures, put in as evaluations, must come out in the shape and with the bold of its tables."""

import re
from dataclasses import replace

import pytest

from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.compare import align, paired_rows
from soars_nnunet.evaluation.metrics import OrganScore
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.evaluation.tables import Table, comparison_tables, organ_table, paper_tables, render
from soars_nnunet.profile import load_profile

TABLE4 = {
    "AnatomyNet": (86.7, 92.5, 53.2, 72.1, 70.6, 88.1, 87.3, 81.4, 81.3, 79.2),
    "FocusNet": (87.5, 93.5, 59.6, 73.5, 74.4, 86.3, 87.9, 79.8, 80.1, 80.3),
    "UaNet": (87.5, 95.0, 61.5, 74.8, 72.3, 88.7, 87.5, 82.3, 81.5, 81.2),
    "SOARS": (87.6, 95.1, 64.9, 75.3, 74.6, 88.2, 88.2, 84.2, 83.8, 82.4),
}
"""Table 4 of the paper: means by organ in the order of ``ORGANS``, then over all."""
ORGANS = (
    "Brainstem",
    "Bone_Mandible",
    "OpticChiasm",
    "OpticNrv_L",
    "OpticNrv_R",
    "Parotid_L",
    "Parotid_R",
    "Glnd_Submand_L",
    "Glnd_Submand_R",
)


@pytest.fixture(scope="module")
def methods():
    """Two cases each, one point of DSC above and below the paper's mean; HD falls as DSC rises."""
    profile = load_profile("miccai2015")
    names = {organ.name: organ.paper_name for organ in profile.organs}
    found = {}
    for method, means in TABLE4.items():
        scores = [
            OrganScore(c, o, profile.by_name[o].tier, "scored", (m + d) / 100, 100 - m, (100 - m) / 10, 1.0, 1.0)
            for c, d in (("1", 1.0), ("2", -1.0))
            for o, m in zip(ORGANS, means, strict=False)
        ]
        targets = tuple(TargetScore(c, "OpticChiasm", "scored", 100 - means[2]) for c in "12")
        found[method] = Evaluation(tuple(scores), "miccai2015", targets=targets, paper_names=names)
    return align(found)


def titled(tables, start):
    (table,) = [table for table in tables if table.title.startswith(start)]
    return table


def bold(table):
    return {(table.rows[r][0], c): table.rows[r][c] for r, c in table.best}


def test_table_4(methods):
    table = titled(paper_tables(methods), "Table 4")
    assert table.heads[0] == (
        ("", 1),
        ("Brainstem", 1),
        ("Mandible", 1),
        ("Optic Chiasm", 1),
        ("Optic Nerve", 2),
        ("Parotid", 2),
        ("SMG", 2),
        ("All OARs", 1),
    )
    assert [side for side, _ in table.heads[1]] == ["", "", "", "", "Lt", "Rt", "Lt", "Rt", "Lt", "Rt", ""]
    assert [row[0] for row in table.rows] == list(TABLE4)
    assert table.rows[3][1] == "87.6±1.4"
    for row in table.rows:
        assert float(row[-1]) == pytest.approx(TABLE4[row[0]][-1], abs=0.1)  # the paper's own mean of the organs
    assert {(name, column) for name, column in bold(table)} == {
        *(("SOARS", column) for column in (1, 2, 3, 4, 5, 7, 8, 9, 10)),
        ("UaNet", 6),  # the left parotid gland
    }


def test_table_3_has_tiers_and_all(methods):
    table = titled(paper_tables(methods), "Table 3: by tier")
    assert [text for text, _ in table.heads[0]] == ["", "Anchor OARs", "Mid-level OARs", "S&H OARs", "All OARs"]
    assert {span for _, span in table.heads[0][1:]} == {3}
    soars = dict(zip(("anchor", "hd"), table.rows[3][1:3], strict=True))
    assert soars == {"anchor": f"{(87.6 + 95.1) / 2:.2f}", "hd": f"{100 - (87.6 + 95.1) / 2:.2f}"}
    assert {name for name, _ in bold(table)} == {"SOARS"} and len(table.best) == 12


def test_tables_5_and_6_are_alphabetical_with_an_average(methods):
    five, six = (titled(paper_tables(methods), f"Table {n}") for n in (5, 6))
    names = [row[0] for row in five.rows]
    assert names[:-1] == sorted(names[:-1], key=str.casefold) and names[-1] == "Average" and "SMG Lt" in names
    assert five.heads == ((("Organ", 1), *((method, 1) for method in TABLE4)),)
    assert bold(five)["Parotid Lt", 3] == "88.7±1.4" and bold(five)["Average", 4] == "82.4"
    assert bold(six)["Parotid Lt", 3] == "11.3±0.0"


def test_table_7_has_the_metrics_that_there_are(methods):
    table = titled(paper_tables(methods), "Table 7")
    assert table.heads[0] == (("", 1), ("Dist (mm)", 4))
    assert table.rows[0] == ("OpticChiasm", "46.8±0.0", "40.4±0.0", "38.5±0.0", "35.1±0.0")
    assert bold(table) == {("OpticChiasm", 4): "35.1±0.0", ("Average", 4): "35.1"}
    heat_maps = {
        name: Evaluation((), targets=(TargetScore("1", "Ear Lt", "scored", None, d, hd),))
        for name, d, hd in (("CT only", 3.9, 6.7), ("CT+anchor", 3.9, 5.7))
    }
    (table,) = paper_tables(heat_maps)
    assert table.heads[0] == (("", 1), ("Detected dist (mm)", 2), ("HD (mm)", 2))
    assert table.rows[0] == ("Ear Lt", "3.9", "3.9", "6.7", "5.7")
    assert set(bold(table)) == {(name, c) for name in ("Ear Lt", "Average") for c in (1, 2, 4)}  # equal ones both


def test_wins_and_paired_tables(methods):
    tables = comparison_tables(methods, paired_rows(methods, "UaNet", "SOARS"))
    wins = titled(tables, "Wins out of 9 organs")
    assert {row[0]: row[1:3] for row in wins.rows} == {
        "AnatomyNet": ("0", "0"),
        "FocusNet": ("0", "0"),
        "UaNet": ("1", "1"),
        "SOARS": ("8", "8"),
    }
    tiers = titled(tables, "Paired comparison, tiers")
    assert tiers.rows[0][:4] == ("SOARS - UaNet", "DSC", "Anchor OARs", "2")
    assert tiers.rows[0][-1] == "+1.00"


def test_one_method_is_not_bold_and_misses_are_named(methods):
    one = methods["SOARS"]
    missed = replace(one.scores[0], status="missed", dsc=0.0, hd_mm=None, asd_mm=None)
    evaluation = replace(one, scores=(missed, *one.scores[1:]))
    tables = [organ_table(evaluation), *paper_tables({"prediction": evaluation})]
    assert not any(table.best for table in tables)
    assert "prediction Brainstem (1)." in titled(tables, "Table 6").notes[0]
    assert titled(tables, "Table 5").notes == ()
    assert tables[0].rows[0][-3:] == ("1", "0", "0") and tables[0].rows[-1][0] == "All OARs"


def test_markdown_and_latex_are_well_formed(methods):
    tables = [*paper_tables(methods), *comparison_tables(methods, paired_rows(methods, "UaNet", "SOARS"))]
    texts = render(tables)
    for block in re.findall(r"(?:^\|.*\n)+", texts["md"], re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1
    assert "**87.6±1.4**" in texts["md"] and "| Optic Nerve Lt |" in texts["md"]
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
    assert r"\textbf{87.6$\pm$1.4}" in texts["tex"] and r"S\&H OARs" in texts["tex"] and "booktabs" in texts["tex"]


def test_names_cannot_break_a_table():
    table = Table("a", ((("m", 1), ("50%_of|x & {y}", 1)),), (("r~^\\", "1"),))
    assert table.markdown().splitlines()[2].count("|") == 4 and r"of\|x" in table.markdown()
    assert r"50\%\_of|x \& \{y\}" in table.latex()
    assert r"r\textasciitilde{}\textasciicircum{}\textbackslash{} & 1 \\" in table.latex()
