from pathlib import Path

import soars_nnunet
from soars_nnunet.paper import paper_values
from soars_nnunet.settings.branch_settings import BranchSettings
from soars_nnunet.settings.reference import settings_markdown
from soars_nnunet.settings.rule import rules

PAGE = Path(soars_nnunet.__file__).parents[1] / "docs" / "reference" / "settings.md"


def test_the_committed_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == settings_markdown(), "run: python scripts/write_reference.py"


def rows_of_page():
    rows = {}
    for line in settings_markdown().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `"):
            assert cells[0].strip("`") not in rows or cells[0] == "`patches_per_volume`", "listed twice"
            rows.setdefault(cells[0].strip("`"), cells)
    return rows


def test_every_setting_and_number_has_a_row():
    assert set(rows_of_page()) == {name for name, _ in rules(BranchSettings)} | set(paper_values())


def test_a_row_shows_what_regimes_and_branches_say():
    rows = rows_of_page()
    assert rows["initial_lr"][4:] == [
        "0.01 (small_hard: 0.005) (fine_tune: 0.001) (from_bundle: 0.001)",
        "0.01 (fine_tune: 0.001) (from_bundle: 0.001)",
        "0.01 (fine_tune: 0.001) (from_bundle: 0.001)",
        "paper",
    ]
    assert rows["max_patch_mm"][2:5] == ["mm", "number, 10 to 10000; null: no limit", "225.0 (small_hard: null)"]
    assert rows["voi_factor"][1] == "3.0" and rows["hu_window"][1] == "[-500.0, 1000.0]"
