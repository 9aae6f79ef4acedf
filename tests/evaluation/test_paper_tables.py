"""The paper's own figures, put in as evaluations, must come out in the shape and with the bold of its tables."""

from dataclasses import replace

import pytest
from evaluation.paper_figures import TABLE4, bold, paper_methods, spans, titled

from soars_nnunet.evaluation.centers import TargetScore
from soars_nnunet.evaluation.organ_table import organ_table
from soars_nnunet.evaluation.paper_tables import paper_tables
from soars_nnunet.evaluation.scores import Evaluation
from soars_nnunet.evaluation.tables import plain_head


@pytest.fixture(scope="module")
def methods():
    return paper_methods()


def test_table_4(methods):
    table = titled(paper_tables(methods), "Table 4")
    assert spans(table.heads[0]) == (
        ("", 1),
        ("Brainstem", 1),
        ("Mandible", 1),
        ("Optic Chiasm", 1),
        ("Optic Nerve", 2),
        ("Parotid", 2),
        ("SMG", 2),
        ("All OARs", 1),
    )
    assert [heading.text for heading in table.heads[1]] == ["", "", "", "", "Lt", "Rt", "Lt", "Rt", "Lt", "Rt", ""]
    assert [row[0] for row in table.rows] == list(TABLE4)
    assert table.rows[3][1] == "0.876±0.014"
    for row in table.rows:  # the paper's own mean of the organs
        assert float(row[-1]) == pytest.approx(TABLE4[row[0]][-1] / 100, abs=0.001)
    assert {(name, column) for name, column in bold(table)} == {
        *(("SOARS", column) for column in (1, 2, 3, 4, 5, 7, 8, 9, 10)),
        ("UaNet", 6),  # the left parotid gland
    }


def test_table_3_has_tiers_and_all(methods):
    table = titled(paper_tables(methods), "Table 3: by tier")
    assert [heading.text for heading in table.heads[0]] == ["", "Anchor OARs", "Mid-level OARs", "S&H OARs", "All OARs"]
    assert {heading.span for heading in table.heads[0][1:]} == {3}
    soars = dict(zip(("anchor", "hd"), table.rows[3][1:3], strict=True))
    assert soars == {"anchor": f"{(87.6 + 95.1) / 200:.4f}", "hd": f"{100 - (87.6 + 95.1) / 2:.2f}"}
    assert {name for name, _ in bold(table)} == {"SOARS"} and len(table.best) == 12


def test_tables_5_and_6_are_alphabetical_with_an_average(methods):
    five, six = (titled(paper_tables(methods), f"Table {n}") for n in (5, 6))
    names = [row[0] for row in five.rows]
    assert names[:-1] == sorted(names[:-1], key=str.casefold) and names[-1] == "Average" and "SMG Lt" in names
    assert five.heads == (plain_head(["Organ", *TABLE4]),)
    assert bold(five)["Parotid Lt", 3] == "0.887±0.014" and bold(five)["Average", 4] == "0.824"
    assert bold(six)["Parotid Lt", 3] == "11.3±0.0"


def test_table_7_has_the_metrics_that_there_are(methods):
    table = titled(paper_tables(methods), "Table 7")
    assert spans(table.heads[0]) == (("", 1), ("Dist (mm)", 4))
    assert table.rows[0] == ("OpticChiasm", "46.8±0.0", "40.4±0.0", "38.5±0.0", "35.1±0.0")
    assert bold(table) == {("OpticChiasm", 4): "35.1±0.0", ("Average", 4): "35.1"}
    heat_maps = {
        name: Evaluation((), targets=(TargetScore("1", "Ear Lt", "scored", None, d, hd),))
        for name, d, hd in (("CT only", 3.9, 6.7), ("CT+anchor", 3.9, 5.7))
    }
    (table,) = paper_tables(heat_maps)
    assert spans(table.heads[0]) == (("", 1), ("Detected dist (mm)", 2), ("HD (mm)", 2))
    assert table.rows[0] == ("Ear Lt", "3.9", "3.9", "6.7", "5.7")
    assert set(bold(table)) == {(name, c) for name in ("Ear Lt", "Average") for c in (1, 2, 4)}  # equal ones both


def test_one_method_is_not_bold_and_misses_are_named(methods):
    one = methods["SOARS"]
    missed = replace(one.scores[0], status="missed", dsc=0.0, hd_mm=None, asd_mm=None)
    evaluation = replace(one, scores=(missed, *one.scores[1:]))
    tables = [organ_table(evaluation), *paper_tables({"prediction": evaluation})]
    assert not any(table.best for table in tables)
    assert "prediction Brainstem (1)." in titled(tables, "Table 6").notes[0]
    assert titled(tables, "Table 5").notes == ()
    assert tables[0].rows[0][-3:] == ("1", "0", "0") and tables[0].rows[-1][0] == "All OARs"
