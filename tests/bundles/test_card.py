"""A card as JSON and as Markdown."""

import json

from soars_nnunet.bundles.card import Card, CardEntry, CardSection, CardTable, Column, Estimate

TABLE = CardTable(
    "scores",
    "Scores",
    (Column("organ", "organ"), Column("dsc", "DSC", 3), Column("mm", "mm", 1), Column("size", "size")),
    (("Larynx", Estimate(0.75449, 0.7, 0.8), 1.25, (2.5, 1.0, 1.0)), ("Eye|L", Estimate(0.5, None, None), None, ())),
    notes=("A note.",),
)
CARD = Card("neck", (CardSection("basics", "1. Basics", (CardEntry("name", "Name", "neck"),), (TABLE,)),))


def test_json_has_everything_by_key_and_unrounded():
    data = CARD.to_json()
    assert (data["format"], data["format_version"], data["name"]) == ("soars-card", 1, "neck")
    section = data["sections"]["basics"]
    assert (section["title"], section["entries"]) == ("1. Basics", {"name": "neck"})
    first, second = section["tables"]["scores"]["rows"]
    assert first == {
        "organ": "Larynx",
        "dsc": {"mean": 0.75449, "low": 0.7, "high": 0.8},
        "mm": 1.25,
        "size": [2.5, 1.0, 1.0],
    }
    assert second["mm"] is None and section["tables"]["scores"]["notes"] == ["A note."]
    assert json.loads(json.dumps(data)) == data


def test_markdown_rounds_and_gives_the_interval():
    text = CARD.markdown()
    assert text.startswith("# Model card: neck\n\n## 1. Basics\n\n- **Name:** neck\n\n**Scores**\n")
    assert "| Larynx | 0.754 (0.700 to 0.800) | 1.2 | 2.5 x 1 x 1 |" in text
    assert r"| Eye\|L | 0.500 | - |  |" in text
    assert text.endswith("\n\nA note.\n")


def test_a_text_of_the_authors_stays_on_its_line_and_brings_no_html():
    entries = (CardEntry("a", "A", "one\n# two <script>"), CardEntry("b", "B", ("x\ny", "z")))
    lines = Card("n", (CardSection("s", "S", entries),)).markdown().splitlines()
    assert lines[4:] == ["- **A:** one # two &lt;script>", "- **B:**", "  - x y", "  - z"]
