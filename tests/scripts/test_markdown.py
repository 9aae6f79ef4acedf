"""scripts/markdown.py: lines of tables."""

from scripts import markdown


def test_a_table_has_a_rule_as_wide_as_its_header():
    assert markdown.table(["organ", "DSC"], [["Larynx", "0.7"], ["Lens_L", "-"]]) == [
        "| organ | DSC |",
        "|---|---|",
        "| Larynx | 0.7 |",
        "| Lens_L | - |",
    ]


def test_a_table_without_rows():
    assert markdown.table(["organ"], []) == markdown.heading(["organ"]) == ["| organ |", "|---|"]
