from pathlib import Path

import soars_nnunet
from soars_nnunet.bundles.card_form import card_form
from soars_nnunet.bundles.card_reference import card_page

PAGE = Path(soars_nnunet.__file__).parents[1] / "docs" / "reference" / "model-card.md"


def test_the_committed_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == card_page(), "run: python scripts/write_reference.py"


def test_every_entry_has_a_row_that_fits_its_table():
    page = card_page()
    for section in card_form().sections:
        assert f"\n## {section.title}\n" in page
        for entry in section.entries:
            assert f"\n| `{entry.key}` | {entry.label} | " in page
    assert all(line.count("|") == 5 for line in page.splitlines() if line.startswith("|"))
