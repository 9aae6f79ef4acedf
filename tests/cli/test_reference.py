from pathlib import Path

import soars_nnunet
from soars_nnunet.cli.commands import COMMANDS
from soars_nnunet.cli.reference import commands_page

PAGE = Path(soars_nnunet.__file__).parents[1] / "docs" / "reference" / "commands.md"


def test_the_committed_page_is_current():
    text = PAGE.read_text(encoding="utf-8")
    assert text == commands_page(), "run: python scripts/write_reference.py"


def test_the_page_has_a_section_with_an_example_for_every_command():
    sections = dict(part.split("\n", 1) for part in commands_page().split("\n## ")[1:])
    assert list(sections) == [command.program for command in COMMANDS.values()]
    for command in COMMANDS.values():
        assert f"```bash\n{command.example}\n```" in sections[command.program]


def test_options_are_listed_as_they_are_typed():
    page = commands_page()
    assert "| `--not-annotated`, `--unannotated FILE` | " in page
    assert "| `--spacing Z Y X` | " in page
    assert "| `--overwrite` | " in page
    assert "| `SRC` | folder of the set, as downloaded and unpacked (required) |" in page
    assert "(default: 4)" in page and "%(default)s" not in page


def test_no_cell_breaks_its_table():
    for line in commands_page().splitlines():
        if line.startswith("| "):
            cells = line.replace(r"\|", "").strip("|").split("|")
            assert len(cells) == 2, line
