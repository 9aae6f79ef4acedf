import pytest
from evaluation.cases import anchors_and_one_small_organ

from soars_nnunet.evaluation.organ_table import format_table, organ_table
from soars_nnunet.evaluation.scores import Evaluation


@pytest.fixture
def evaluation():
    return anchors_and_one_small_organ()


def test_table_and_empty_evaluation(evaluation):
    lines = format_table(evaluation).splitlines()
    assert lines[0].split()[:3] == ["organ", "n", "DSC"]
    assert lines[2].split() == ["A", "2", "0.400", "±", "0.566", "4.00", "1.00", "-", "-", "-", "1", "0", "0"]
    assert lines[-1].startswith("all") and lines[4].split()[3] == "-"
    empty = Evaluation(())
    assert empty.per_organ() == [] and empty.per_tier() == [] and "DSC" in format_table(empty)


def test_columns_of_the_plain_table_are_aligned(evaluation):
    lines = format_table(evaluation).splitlines()
    assert len({len(line) for line in lines}) == 1 and set(lines[1]) == set(lines[5]) == {"-"}


def test_organ_table_has_organs_then_tiers(evaluation):
    table = organ_table(evaluation)
    assert [row[0] for row in table.rows] == ["A", "B", "C", "Anchor OARs", "S&H OARs", "All OARs"]
    assert table.rows[0] == ("A", "2", "0.400±0.566", "4.0", "1.0", "-", "-", "-", "1", "0", "0")
    assert table.columns == len(table.rows[0]) and "perhaps nobody drew it" in table.notes[0]
    assert "counts as DSC 0" in organ_table(Evaluation((), empty_means_absent=True)).notes[0]
