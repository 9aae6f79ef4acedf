import pytest
from evaluation.paper_figures import paper_methods, titled

from soars_nnunet.evaluation.comparison_tables import comparison_tables
from soars_nnunet.evaluation.paired_tests import paired_rows
from soars_nnunet.evaluation.scores import Evaluation


@pytest.fixture(scope="module")
def methods():
    return paper_methods()


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


def test_tables_come_by_tier_organ_and_target(methods):
    titles = [table.title for table in comparison_tables(methods, paired_rows(methods, "UaNet", "SOARS"))]
    assert titles[1:] == [f"Paired comparison, {what}" for what in ("tiers", "organs", "detection targets")]
    assert comparison_tables({"a": Evaluation(())}, []) == []
